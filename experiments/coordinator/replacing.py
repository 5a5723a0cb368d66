"""Whether an arm still is what its runs were trained as, and training it again where it is not: `--replace`.

An arm is held to its identity (see `experiments.config.identity`) at every start, whether it is asked for or
not: with a formula edited between two seeds, its cells would be of two models.
"""

import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from experiments.cli.commands import python
from experiments.config.identity import SOURCE, read_identity
from experiments.config.run import RunConfig
from experiments.records.definition import Replacement
from experiments.records.run_folder import RunFolder
from rope_dit.errors import UserError, check
from rope_dit.words import differing, listed

if TYPE_CHECKING:
    from experiments.coordinator.cell import Cell
    from experiments.coordinator.plan import Plan

FOLDER = "replaced"
"""of a study's folder, where runs are set aside"""
Identities = Mapping[str, Mapping[str, str]]
"""by the arm's label, all of an identity but the seed"""


def decided(config: RunConfig, identity: Mapping[str, str]) -> RunConfig:
    """Settings of an arm's runs with what is open decided as it was at first, whichever machine it is now."""
    names = ("precision", "compile")
    known = {name: identity[f"train.{name}"] for name in names if f"train.{name}" in identity}
    return replace(config, train=replace(config.train, **known))  # type: ignore[arg-type]


def check_unchanged(written: Identities, now: Identities) -> None:
    """Raise UserError for arms that are no longer what was written down of them, with what differs."""
    found = {
        label: differing(read_identity(written[label]), read_identity(now[label]))
        for label in written
        if label in now
    }
    _refuse(found)


def check_runs(plan: "Plan", now: Identities) -> None:
    """Raise UserError where runs that are there are of other code or settings than their arms have now."""
    aside, found = _aside(plan), dict[str, list[str]]()
    for cell in plan.cells():
        expected = {**now[cell.arm], "seed": str(cell.seed)}
        record = cell.folder.record
        if record is None:
            cell.folder.check_free_for(expected)
        elif record.id not in aside and (lines := differing(read_identity(record.identity), expected)):
            known = found.setdefault(cell.arm, [])
            known += [line for line in lines if line not in known]
            if SOURCE in "".join(lines):
                mend = python("experiments.runner.migrate", cell.folder.path)
                known.append(f"if its files still do the same as those of {cell.name}: {mend}")
    _refuse(found)


def _refuse(found: Mapping[str, Sequence[str]]) -> None:
    changed = {label: lines for label, lines in found.items() if lines}
    if changed:
        who = f"arm{'s' if len(changed) > 1 else ''} {listed(changed)}"
        raise UserError(
            f"{who}: code or settings are no longer those of the runs that are there; bring them back, or "
            f"train anew: --replace {' '.join(changed)}. They differ in:",
            [f"{label}: {line}" for label, lines in changed.items() for line in lines],
        )


def replacements(labels: Sequence[str], saved: "Plan | None", now: Identities) -> tuple[Replacement, ...]:
    """What `--replace` asks for.

    Args:
        labels: of the arms that are to be trained again.
        saved: the study as it is.
        now: identities as the code that is here has them.

    Raises UserError for what is no arm of the study, and for an arm that would only be trained to the same
    weights: nothing of it has changed, and no run of it has failed.
    """
    found = []
    for label in dict.fromkeys(labels):
        if saved is None:
            raise UserError(f"replace got '{label}', expected nothing at a study's first start.")
        known = ", ".join(saved.arms)
        check(label in saved.arms, "replace", label, f"one of the study's arms {known}")
        found.append(_replacement(saved, label, now[label]))
    return tuple(found)


def _replacement(saved: "Plan", label: str, now: Mapping[str, str]) -> Replacement:
    begun = [(cell, record) for cell in _cells(saved, label) if (record := cell.folder.record)]
    written = saved.identities.get(label)
    differed = differing(read_identity(written), now) if written else []
    for cell, record in begun:
        lines = differing(read_identity(record.identity), {**now, "seed": str(cell.seed)})
        differed += [line for line in lines if line not in differed]
    if not differed and not any(cell.state() == "failed" for cell, _ in begun):
        raise UserError(
            f"arm {label} is as it was and no run of it failed: trained again, it would be the same; leave "
            "--replace out."
        )
    return Replacement(
        label, time.time(), tuple(differed), tuple(record.id for _, record in begun),
        tuple(cell.seed for cell, _ in begun if cell.folder.scores()),
    )  # fmt: skip


def said(one: Replacement) -> str:
    """What a replacement does, before it is done."""
    count = f"{len(one.runs)} run{'s' if len(one.runs) != 1 else ''}"
    return f"arm {one.arm} is trained again ({one.why}); {count} of it set aside in the study's {FOLDER}/"


def is_aside(plan: "Plan", cell: "Cell") -> bool:
    """Whether the run in a cell's folder is one that is replaced, and so the cell's own is still to begin."""
    record = cell.folder.record if plan.replaced else None
    return record is not None and record.id in _aside(plan)


def set_aside(plan: "Plan") -> None:
    """Move replaced runs out of the way; those of a coordinator that was killed before it could, too.

    Raises UserError where a process is at work on one of them.
    """
    aside = _aside(plan)
    for folder in map(RunFolder, sorted(plan.runs.glob("*")) if aside else ()):
        if (record := folder.record) and record.id in aside:
            place = plan.path / FOLDER / f"{folder.path.name}-{record.id[:8]}"
            place.parent.mkdir(exist_ok=True)
            with folder.lock():
                os.rename(folder.path, place)


def _aside(plan: "Plan") -> Collection[str]:
    return {run for one in plan.replaced for run in one.runs}


def _cells(plan: "Plan", label: str) -> list["Cell"]:
    return [cell for cell in plan.cells() if cell.arm == label]
