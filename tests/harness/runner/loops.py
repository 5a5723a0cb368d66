"""The loop of a run on a tiny network, with everything that it reports."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny import CONFIG, Logs, batch, model
from torch import Tensor

from experiments.config.presets import PRESETS
from experiments.runner import execute
from experiments.runner.execute import train_and_score
from experiments.scoring.jobs import Job
from rope_dit import trainer
from rope_dit.checkpoint import Checkpoints
from rope_dit.config import TrainConfig
from rope_dit.errors import Stopped
from rope_dit.ranks import ONE, Ranks
from rope_dit.trainer import Training

TIMED = ("train/images_per_second", "system/peak_memory_mib")


class Time:
    """A clock of its own, which only stands still or is moved on."""

    def __init__(self) -> None:
        self.now = 5.0

    def monotonic(self) -> float:
        return self.now

    def takes(self, seconds: float, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work, but it takes so long."""

        def slow(*args: Any) -> Any:
            self.now += seconds
            return work(*args)

        return slow


class Scorer:
    """Scores nothing, and remembers the step and the averages that it was to score."""

    def __init__(self, run: "Run"):
        self.run = run
        self.done: list[int] = []

    def missing(self, step: int, jobs: list[Job]) -> list[Job]:
        return [] if step in self.done else jobs

    def score(self, step: int, jobs: list[Job], profiles: Mapping[str, Sequence[Tensor]]) -> None:
        (kept,) = self.run.training.ema.profiles.values()
        for job in self.missing(step, jobs):
            assert all(a is b for a, b in zip(profiles[job.average], kept, strict=True))
            assert step == self.run.training.step
            self.run.events.append(("score", step))
        self.done.append(step)


class Run:
    """One call of train_and_score on a tiny network, and in their order all it logged, saved and scored."""

    def __init__(self, folder: Path, config: TrainConfig = CONFIG, until: int = 0, every: int = 0):
        smoke = PRESETS["smoke"]
        settings = replace(smoke, train=config, until=until, eval=replace(smoke.eval, every=every))
        self.resolved = SimpleNamespace(config=settings, device=torch.device("cpu"))
        self.training, self.checkpoints = Training.fresh(model(), config), Checkpoints(folder, {})
        self.logs: Logs = {}
        self.events: list[tuple[str, int]] = []
        self.scorer = Scorer(self)
        self.batch = batch
        self.stop: Callable[[], bool] = lambda: False

    def log(self, step: int, values: dict[str, float]) -> None:
        self.events.append(("log", step))
        self.logs[step] = dict(values)

    def save(self, step: int, tensors: dict[str, Tensor]) -> None:
        self.events.append(("save", step))
        self.checkpoints.save(step, tensors)

    def resume(self) -> "Run":
        self.training = Training.fresh(model(seed=99), self.training.config)
        self.training.resume(self.checkpoints)
        return self

    def train(self, ranks: Ranks = ONE) -> "Run":
        train_and_score(
            self.resolved,
            self.training,
            lambda step: self.batch(step),
            SimpleNamespace(save=lambda step, tensors: self.save(step, tensors)),
            SimpleNamespace(log=lambda step, values: self.log(step, values)),
            self.scorer,
            lambda: self.stop(),
            ranks,
        )
        return self

    @property
    def step(self) -> int:
        return self.training.step

    def what(self, kind: str) -> list[int]:
        """Steps in which that happened."""
        return [step for event, step in self.events if event == kind]

    def saved(self) -> tuple[int, dict[str, Tensor]]:
        """The newest checkpoint."""
        found = self.checkpoints.load()
        assert found is not None
        return found


def comparable(logs: Logs) -> Logs:
    return {step: {k: v for k, v in row.items() if k not in TIMED} for step, row in logs.items()}


def bad_from(first: int) -> Callable[[int], tuple[Tensor, Tensor]]:
    def bad(step: int) -> tuple[Tensor, Tensor]:
        images, labels = batch(step)
        return images * (torch.nan if step >= first else 1), labels

    return bad


def stopped(step: int, jobs: object, profiles: object) -> None:
    raise Stopped


@pytest.fixture(name="unchecked")
def unchecked_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on CUDA, where a look at the loss costs time."""
    monkeypatch.setattr(trainer, "CHECKED_EACH_STEP", frozenset())


@pytest.fixture(name="time")
def time_fixture(monkeypatch: pytest.MonkeyPatch) -> Iterator[Time]:
    """Time as the loop sees it."""
    made = Time()
    monkeypatch.setattr(execute, "time", made)
    return made
