"""A cell of a study: one arm, one seed. What became of it is read from its run folder alone.

Imports no torch.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from experiments.config.run import RunConfig
from experiments.records.run_folder import RunFolder
from experiments.records.score import NOTHING
from experiments.scoring.jobs import Job, final_jobs, registered, unscored

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
        """Whether scores.csv has all final scores of the step that the run is to reach.

        Without weights, of those metrics of which it has any: later ones cannot be made of it.
        """
        if not self._unscored(self._registered()):
            return True
        there = self._metrics()
        return bool(there) and not self.has_weights() and not self._unscored(there)

    def has_weights(self) -> bool:
        """Whether it has a checkpoint; not where it was imported, or its checkpoints were removed."""
        return any((self.folder.path / "checkpoints").glob("*.safetensors"))

    def out_of_reach(self) -> list[Job]:
        """What of its final jobs needs it to be trained again: it has ended, and has no weights."""
        ending = self.folder.ending
        ended = ending is not None and ending.outcome in ("finished", "paused")
        if not ended or self.has_weights() or self.is_scored():
            return []
        there = self._metrics()
        return self._unscored(there) if there else final_jobs(self.config)

    def metrics_out_of_reach(self) -> set[str]:
        """Names of scores that it lacks, as its weights are gone, and their metrics came later."""
        return set() if self.has_weights() else {*self._registered()} - self._metrics()

    def _registered(self) -> list[str]:
        return registered(self.extractor, self.config.data.data_set)

    def _metrics(self) -> set[str]:
        """Names of the scores that it has at the step that it is to reach."""
        keys = [score.key for score in self.folder.scores()]
        known = (self.extractor, NOTHING)
        return {k.metric for k in keys if k.train_step == self.config.last_step and k.extractor in known}

    def _unscored(self, metrics: Collection[str]) -> list[Job]:
        scores, step, jobs = self.folder.scores(), self.config.last_step, final_jobs(self.config)
        data_set = self.config.data.data_set
        return unscored(scores, self.extractor, data_set, step, jobs, metrics)

    def progress(self) -> tuple[int, float | None]:
        """Last logged step, and the loss there; 0 and None before the first."""
        try:
            with open(self.folder.path / "metrics.jsonl", "rb") as file:
                file.seek(max(0, file.seek(0, 2) - _TAIL))
                row = json.loads(file.read().splitlines()[-1])
            return row["step"], row["values"].get("train/loss")
        except (OSError, ValueError, IndexError, KeyError):
            return 0, None
