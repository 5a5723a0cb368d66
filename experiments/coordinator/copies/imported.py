"""`study --import DIR`: the cells of an exported study count as done here, in its study, or a new one.

Everything is checked before anything is written: each file by its SHA-256, the study by its seal, each run by
the identity that the study wrote down of its arm. Weights do not travel; what would need them is said.
"""

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from experiments.cli.plugins import check_asked_for
from experiments.config.identity import read_identity
from experiments.config.run import RunConfig
from experiments.coordinator.cell import FINAL, Cell
from experiments.coordinator.copies.files import FILE, STUDY, read_files, read_manifest
from experiments.coordinator.copies.weights import lacking_metrics
from experiments.coordinator.plan import Plan, grow, read_plan, read_saved
from experiments.coordinator.replacing import is_aside, set_aside
from experiments.coordinator.seals import check_chain, check_sealed, check_unused
from experiments.records.mlflow_store import check_experiment
from experiments.records.run_folder import RunFolder
from experiments.records.sealing import chain as chains
from rope_dit.durable import write_durably
from rope_dit.errors import UserError
from rope_dit.words import differing, listed

_BEFORE = ("lock", "owner", chains.FILE)
"""files that a folder may have before its run begins"""


def import_study(folder: Path, studies: Path) -> tuple[str, list[str]]:
    """Bring an exported study in; returns its name and what is to be said, a line each.

    Raises:
        UserError: the folder is no export, a file of it is not what was exported, or the study that is here
            is another. Nothing was written then.
        OSError: a file cannot be read or written.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise UserError(f"--import: {folder} has no {FILE}; expected a folder that study --export wrote.")
    check_experiment(manifest.study)
    studies.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=studies) as place:
        for name, content in read_files(folder, manifest):
            (Path(place) / name).parent.mkdir(parents=True, exist_ok=True)
            write_durably(Path(place) / name, content)
        try:
            found = checked(Path(place), folder)
        except UserError as error:  # which names files by the place where they were unpacked
            text, details = str(error), [*error.details]
            raise UserError(*_named(text, details, place, folder)) from None
        path = (studies / manifest.study).absolute()
        with RunFolder(path).held():
            return manifest.study, merged(found, path, folder)


def checked(place: Path, folder: Path) -> Plan:
    """The study that was unpacked. Raises UserError where it, or a run of it, is not what was sealed."""
    saved = read_saved(place)
    assert saved is not None, "every export has a study.json"
    check_asked_for(saved.base.get("plugins"), folder / STUDY)
    plan = read_plan(place)
    assert plan is not None
    check_sealed(plan)
    known = {cell.name: cell for cell in plan.cells()}
    for path in sorted(plan.runs.glob("*")):
        record = RunFolder(path).record
        if path.name not in known or record is None:
            raise UserError(f"{path} is the run of no cell of study {plan.name}; export the study again.")
        cell = known[path.name]
        expected = plan.identities.get(cell.arm)
        apart = differing(record.who, read_identity({**expected, "seed": str(cell.seed)})) if expected else []
        if apart:
            raise UserError(
                f"{path / 'config.json'} is not of arm {cell.arm}, seed {cell.seed}; they differ in:", apart
            )
        cell.folder.scores()  # refuses what was changed
    return plan


def merged(found: Plan, path: Path, folder: Path) -> list[str]:
    """Put the runs of a checked study into that in `path`, which is held; returns what is to be said."""
    there = read_plan(path)
    if there is None:
        check_unused(replace(found, path=path))
        plan = replace(found, path=path)
    else:
        plan = joined(there, found, folder)
        check_sealed(plan)
    taken = [cell for cell in found.cells() if cell.folder.record and not is_aside(plan, cell)]
    places = {cell.name: RunFolder(path / "runs" / cell.name) for cell in taken}
    for one in places.values():
        check_place(one)
    if there is None:  # as it was written, so that a later version sees which settings it did not know
        write_durably(path / STUDY, (found.path / STUDY).read_bytes())
    elif plan != there:
        plan.save()
        set_aside(plan)
    new, more, kept = [], [], []
    for cell in taken:
        own = places[cell.name].record
        if own is None:
            bring(cell, places[cell.name].path)
            new.append(cell)
        elif own.id != cell.folder.record.id:  # type: ignore[union-attr]
            kept.append(cell.name)
        elif add_scores(cell, places[cell.name]):
            more.append(cell.name)
    cells = [c for c in plan.cells() if c.name in places]
    return [*_said(plan, folder, len(new), cells), *_others(more, kept)]


def joined(there: Plan, found: Plan, folder: Path) -> Plan:
    """The study that is here together with an exported one. Raises UserError where they are not one study."""
    arms = {label for label in there.arms if label in found.arms}
    apart = differing(
        {**there.identity(), **{f"arm {label}": str(there.arms[label]) for label in arms}},
        {**found.identity(), **{f"arm {label}": str(found.arms[label]) for label in arms}},
        ("here", "there"),
    )
    if apart:
        raise UserError(
            f"{there.path} is another study than that in {folder}; import it with other --studies. They "
            "differ in:", apart
        )  # fmt: skip
    check_chain(there)
    longer = found if len(found.chain) > len(there.chain) else there
    shorter = there if longer is found else found
    if why := chains.foreign(shorter.chain or None, longer.chain):
        raise UserError(
            f"{there.path} and the study in {folder} were planned, grown or looked at apart from each other; "
            "import it with other --studies.", [why]
        )  # fmt: skip
    both = grow(shorter, replace(longer, base=at_home(longer.base, there.base)))
    return replace(both, path=there.path, chain=longer.chain, looks=longer.looks)


def at_home(base: RunConfig, here: RunConfig) -> RunConfig:
    """Settings with the places that are those of another study's."""
    places = {name: getattr(here.eval, name) for name in ("extractor", "inception_weights")}
    return replace(base, data=here.data, plugins=here.plugins, eval=replace(base.eval, **places))


def check_place(folder: RunFolder) -> None:
    """Raise UserError where a process is at work in a run's folder, or it holds files but no run."""
    if folder.is_locked():
        raise UserError(f"{folder.path} is locked by another process; wait or stop that process.")
    if folder.record is None and folder.path.is_dir():
        others = sorted(p.name for p in folder.path.iterdir() if p.name not in _BEFORE)
        if others:
            raise UserError(f"{folder.path} holds files but no run ({listed(others)}); move it away.")


def bring(cell: Cell, place: Path) -> None:
    """Move a run that was unpacked into its place, where none has begun."""
    shutil.rmtree(place, ignore_errors=True)  # at most a lock and the seal of a run that never began
    place.parent.mkdir(parents=True, exist_ok=True)
    os.rename(cell.folder.path, place)


def add_scores(cell: Cell, own: RunFolder) -> bool:
    """Add what the same run was scored under elsewhere since; returns whether there was any."""
    known = {score.key for score in own.scores()}
    fresh = [score for score in cell.folder.scores() if score.key not in known]
    if fresh:
        with own.lock():
            own.add_scores(fresh)
    return bool(fresh)


def _said(plan: Plan, folder: Path, new: int, cells: list[Cell]) -> list[str]:
    done = sum(cell.state() in FINAL for cell in plan.cells())
    lines = [
        f"{len(cells)} runs of {folder} are in {plan.path}, {new} of them new",
        f"{done} of {len(plan.cells())} runs of study {plan.name} are done",
    ]
    if bare := [cell.name for cell in cells if not cell.has_weights()]:
        lines.append(
            f"without weights, so that other samplers, guidances, averages, numbers of pictures and metrics "
            f"would need them trained again: {listed(bare)}"
        )
    return [*lines, *lacking_metrics(cells)]


def _others(more: list[str], kept: list[str]) -> list[str]:
    lines = [f"more scores of runs that were here already: {listed(more)}"] if more else []
    if kept:
        lines.append(
            f"not taken, for another run of the same cell is here: {listed(kept)}; remove that to take it"
        )
    return lines


def _named(text: str, details: list[str], place: str, folder: Path) -> tuple[str, list[str]]:
    """A message that names the exported files."""
    return text.replace(place, str(folder)), [line.replace(place, str(folder)) for line in details]
