"""A cell of a study: one arm, one seed. What became of it is read from its run folder alone.

Imports no torch.
"""

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from experiments.config.run import RunConfig
from experiments.records.run_folder import RunFolder
from experiments.scoring.jobs import final_jobs, unscored

CellState = Literal["done", "diverged", "failed", "running", "missing"]
FINAL: tuple[CellState, ...] = ("done", "diverged")
_TAIL = 4096  # bytes that hold the last line of a metric log


@dataclass(frozen=True)
class Cell:
    """One arm, one seed.

    Args:
        config: settings of its run, with `out`, the run folder, set.
        extractor: name of the study's extractor, whose scores count.
    """

    config: RunConfig
    extractor: str

    @classmethod
    def of(cls, config: RunConfig, seed: int, runs: Path, extractor: str) -> "Cell":
        """The cell of an arm's settings and a seed, its run folder in `runs`."""
        place = runs / f"{config.arm}-s{seed}"
        return cls(replace(config, seed=seed, out=place, join=True), extractor)

    @property
    def arm(self) -> str:
        """Label of the arm."""
        return self.config.arm

    @property
    def seed(self) -> int:
        """Training seed."""
        return self.config.seed

    @property
    def name(self) -> str:
        """Name for files, such as `rope2d-s0`."""
        return self.folder.path.name

    @cached_property
    def folder(self) -> RunFolder:
        """The run folder."""
        assert self.config.out is not None, "a cell has a run folder"
        return RunFolder(self.config.out)

    def state(self) -> CellState:
        """What became of it so far; `missing` where a process still has to begin or go on."""
        ending = self.folder.ending
        outcome = ending.outcome if ending else ""
        if outcome in ("finished", "paused") and self.is_scored():
            return "done"
        if outcome == "diverged":
            return "diverged"
        if outcome == "error":
            return "failed"
        return "running" if self.folder.is_locked() else "missing"

    def is_scored(self) -> bool:
        """Whether scores.csv has all final scores of the step that the run is to reach."""
        scores, step, jobs = self.folder.scores(), self.config.last_step, final_jobs(self.config)
        return not unscored(scores, self.extractor, self.config.data.data_set, step, jobs)

    def progress(self) -> tuple[int, float | None]:
        """Last logged step, and the loss there; 0 and None before the first."""
        try:
            with open(self.folder.path / "metrics.jsonl", "rb") as file:
                file.seek(max(0, file.seek(0, 2) - _TAIL))
                row = json.loads(file.read().splitlines()[-1])
            return row["step"], row["values"].get("train/loss")
        except (OSError, ValueError, IndexError, KeyError):
            return 0, None
