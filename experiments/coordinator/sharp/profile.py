"""Which samplers of a study wait for a profile, and how they get the one that is measured.

A study that is asked for `grid=sharp` begins without it. Once the baseline's first run has ended, its
velocity is measured, sharp.json written, and the study grows by samplers whose specs hold what was measured,
with which every run is scored. Both files are sealed by their SHA-256; of samplers the study's chain holds
the endpoint's alone, and that is never one of these. Later calls read sharp.json. Imports no torch.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from experiments.cli.main import StopFlag
from experiments.config.study import StudyConfig
from experiments.config.text import read_json
from experiments.coordinator.cell import FINAL, Cell
from experiments.coordinator.cell_queue import POLL_SECONDS, CellQueue
from experiments.coordinator.copies.resync import sync_definition
from experiments.coordinator.launchers import Launcher
from experiments.coordinator.launchers.base import Ended, Task
from experiments.coordinator.plan import RESTORE, Plan, read_plan
from experiments.records.seal import unsealed
from rope_dit.errors import Stopped, UserError
from rope_dit.registry import show
from rope_dit.samplers.spec import SamplerSpec

FILE, GRID, PROFILE = "sharp.json", "sharp", "profile"


def is_unmeasured(text: str) -> bool:
    """Whether a sampler waits for a profile."""
    spec = SamplerSpec.parse(text)
    profile = dict(spec.grid_options).get(PROFILE, ())
    return spec.grid == GRID and isinstance(profile, tuple) and len(profile) == 1


def prepared(config: StudyConfig) -> tuple[StudyConfig, bool]:
    """What is asked for with the profile that the study has; or without samplers that wait for one, and True.

    Raises UserError where the endpoint's sampler has the grid sharp, or sharp.json is gone or was changed.
    """
    _check_endpoint(config)
    path = (config.studies / config.title).absolute()
    profile = _profile(path)
    waiting = [text for text in config.eval.samplers if is_unmeasured(text)]
    if not waiting or profile:
        return with_profile(config, profile), False
    kept = tuple(text for text in config.eval.samplers if text not in waiting)
    return replace(config, eval=replace(config.eval, samplers=kept)), True


def with_profile(config: StudyConfig, profile: str) -> StudyConfig:
    """The settings with a profile in each sampler that waits for one."""

    def filled(text: str) -> str:
        spec = SamplerSpec.parse(text)
        return str(spec).replace(f"{PROFILE}=0,", f"{PROFILE}={profile},") if is_unmeasured(text) else text

    return replace(config, eval=replace(config.eval, samplers=tuple(map(filled, config.eval.samplers))))


def measured(plan: Plan, launcher: Launcher, stop: StopFlag) -> None:
    """Carry out the baseline's first run where that has not been done, and write sharp.json.

    Raises UserError where the run does not end well, and Stopped.
    """
    cell = next(c for c in plan.cells() if (c.arm, c.seed) == (plan.baseline, plan.seeds[0]))
    print(f"grid sharp: {cell.name} comes first, its velocity is measured for all", flush=True)
    if cell.state() not in FINAL:
        sync_definition(plan.definition())
        queue = CellQueue(plan.path, launcher, stop, 1)
        queue.carry_out([cell])
    if (state := cell.state()) != "done":
        raise UserError(
            f"grid sharp: {cell.name} is {state}, so that nothing can be measured; leave the grid out."
        )
    _measure(plan, cell, launcher, stop)


def _measure(plan: Plan, cell: Cell, launcher: Launcher, stop: StopFlag) -> None:
    log = (plan.path / "logs" / "sharp.txt").absolute()
    plugins = ("--plugins", str(cell.config.plugins)) if cell.config.plugins else ()
    command = (sys.executable, "-m", "experiments.coordinator.sharp.measure")
    launcher.start(Task("sharp", (*command, str(cell.folder.path), str(plan.path), *plugins), log))
    ended: list[Ended] = []
    while not ended:
        if stop():
            raise Stopped
        ended = launcher.poll(POLL_SECONDS)
    if ended[0].code != 0 or not (plan.path / FILE).is_file():
        raise UserError(f"grid sharp: measuring {cell.name} failed (exit code {ended[0].code}); see {log}.")


def _profile(path: Path) -> str:
    """The profile of a study as text; empty where none was measured. Raises UserError."""
    file, saved = path / FILE, read_plan(path)
    used = profiles(saved.base.eval.sampler_specs) if saved else set()
    if not file.is_file():
        if used:
            raise UserError(f"{file} is gone, and the study has samplers by it; {RESTORE}.")
        return ""
    found, is_sealed = unsealed(read_json(file, RESTORE), file, RESTORE)
    text = show(tuple(map(float, found[PROFILE])))
    if not is_sealed or (used and text not in used):
        raise UserError(f"{file} is not what the study was scored by; {RESTORE}.")
    return text


def profiles(specs: Sequence[SamplerSpec]) -> set[str]:
    """Profiles of samplers with the grid sharp, as text."""
    return {show(dict(spec.grid_options)[PROFILE]) for spec in specs if spec.grid == GRID}


def _check_endpoint(config: StudyConfig) -> None:
    """Raise UserError where verdicts would stand on a sampler that favours the baseline."""
    text = config.endpoint.sampler or config.eval.samplers[0]
    if SamplerSpec.parse(text).grid == GRID:
        raise UserError(
            "the endpoint's sampler got grid=sharp, which favours the baseline that it is measured on; "
            "name another first in eval.samplers, or by --endpoint.sampler."
        )
