"""A cell of a study: one arm, one seed. What became of it is read from its run folder alone.

Imports no torch, unless other grids of tokens are asked for.
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
from experiments.scoring.jobs import Work, final_work, registered, unprobed, unscored

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

    def out_of_reach(self) -> Work:
        """What of its final work needs it to be trained again: it has ended, and has no weights."""
        ending = self.folder.ending
        ended = ending is not None and ending.outcome in ("finished", "paused")
        if not ended or self.has_weights() or self.is_scored():
            return Work()
        there = self._metrics()
        return self._unscored(there) if there else self._work

    def metrics_out_of_reach(self) -> set[str]:
        """Names of scores that it lacks, as its weights are gone, and their metrics came later."""
        return set() if self.has_weights() else {*self._registered()} - self._metrics()

    def _registered(self) -> list[str]:
        return registered(self.extractor, self.config.data.data_set)

    def _metrics(self) -> set[str]:
        """Names of the scores of pictures that it has at the step that it is to reach."""
        keys = [score.key for score in self.folder.scores()]
        known = (self.extractor, NOTHING)
        keys = [key for key in keys if key.sampler != NOTHING and key.extractor in known]
        return {key.metric for key in keys if key.train_step == self.config.last_step}

    @cached_property
    def _work(self) -> Work:
        return final_work(self.config)

    def _unscored(self, metrics: Collection[str]) -> Work:
        scores, step = self.folder.scores(), self.config.last_step
        jobs = unscored(scores, self.extractor, self.config.data.data_set, step, self._work.jobs, metrics)
        return Work(tuple(jobs), tuple(unprobed(scores, step, self._work.probings)))

    def progress(self) -> tuple[int, float | None]:
        """Last logged step, and the loss there; 0 and None before the first."""
        try:
            with open(self.folder.path / "metrics.jsonl", "rb") as file:
                file.seek(max(0, file.seek(0, 2) - _TAIL))
                row = json.loads(file.read().splitlines()[-1])
            return row["step"], row["values"].get("train/loss")
        except (OSError, ValueError, IndexError, KeyError):
            return 0, None
