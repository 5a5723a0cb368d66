"""The loop of a run: what it logs, saves and scores, how it stops, and what its clock leaves out."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist
from tiny import CONFIG, Logs, batch, copies, model, same
from together import together
from torch import Tensor

from experiments.config.presets import PRESETS
from experiments.runner import execute
from experiments.runner.execute import Clock, train_and_score
from rope_dit import trainer
from rope_dit.checkpoint import Checkpoints
from rope_dit.config import TrainConfig
from rope_dit.errors import Stopped
from rope_dit.ranks import ONE, Ranks
from rope_dit.trainer import Diverged, Training, learning_rate

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

    ema = "0.99"

    def __init__(self, run: "Run"):
        self.run, self.generator = run, SimpleNamespace(load=self._load)
        self.done: list[int] = []
        self.weights: list[Tensor] = []

    def _load(self, weights: list[Tensor]) -> None:
        self.weights = weights

    def missing(self, step: int, jobs: list[Any]) -> list[Any]:
        return [] if step in self.done else jobs

    def score(self, step: int, jobs: list[Any]) -> None:
        (profile,) = self.run.training.ema.profiles.values()
        assert all(a is b for a, b in zip(self.weights, profile, strict=True))
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


def stopped(step: int, jobs: object) -> None:
    raise Stopped


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on CUDA, where a look at the loss costs time."""
    monkeypatch.setattr(trainer, "CHECKED_EACH_STEP", frozenset())


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Time]:
    """Time as the loop sees it."""
    made = Time()
    monkeypatch.setattr(execute, "time", made)
    return made


# Curves, and where a run goes on


def test_a_run_logs_its_curves_and_saves_at_its_end(tmp_path):
    run = Run(tmp_path).train()
    assert run.events == [("log", 5), ("log", 10), ("log", 12), ("save", 12)]
    step, saved = run.saved()
    assert step == run.step == 12
    assert same(saved, copies(run.training))
    for step, row in run.logs.items():
        assert row["train/lr"] == learning_rate(CONFIG, step - 1)
        assert all(row[key] > 0 for key in ("train/loss", "train/grad_norm", *TIMED))
        assert any(key.startswith("loss_by_t/") for key in row)


@pytest.mark.parametrize("how", ["paused", "stopped"])
@pytest.mark.parametrize("last", range(1, CONFIG.steps))
def test_a_run_that_goes_on_is_the_same_to_the_bit(tmp_path, last, how):
    whole = Run(tmp_path / "whole").train()
    first = Run(tmp_path / "parts", until=last if how == "paused" else 0)
    if how == "stopped":
        first.stop = lambda: first.step == last
        with pytest.raises(Stopped):
            first.train()
    else:
        first.train()
    assert first.what("save") == [last]
    second = Run(tmp_path / "parts").resume()
    assert second.step == last
    second.train()
    assert same(copies(second.training), copies(whole.training))
    assert comparable(first.logs | second.logs) == comparable(whole.logs)


def test_a_finished_run_trains_saves_and_logs_nothing(tmp_path):
    Run(tmp_path).train()
    again = Run(tmp_path).resume().train()
    assert again.events == []
    assert again.step == 12


# Saves and stops


@pytest.mark.parametrize("save_seconds", [1e9, 0.0])
def test_a_signal_saves_exactly_one_checkpoint(tmp_path, save_seconds):
    """Also where the clock had one saved at that very step."""
    run = Run(tmp_path, replace(CONFIG, save_seconds=save_seconds))
    run.stop = lambda: run.step == 4
    with pytest.raises(Stopped):
        run.train()
    assert run.what("save") == ([4] if save_seconds else [1, 2, 3, 4])
    step, saved = run.saved()
    assert step == run.step == 4
    assert same(saved, copies(run.training))


def test_a_signal_in_the_last_step_lets_the_run_end(tmp_path):
    """What follows, the scoring, asks for itself."""
    run = Run(tmp_path)
    run.stop = lambda: run.step == 12
    assert run.train().what("save") == [12]


def test_stopped_by_a_long_scoring_saves_once_too(tmp_path):
    run = Run(tmp_path, every=3)
    run.scorer.score = stopped
    with pytest.raises(Stopped):
        run.train()
    assert run.what("save") == [3]
    assert same(run.saved()[1], copies(run.training))


def test_stopped_by_a_scoring_at_the_start_saves_nothing_anew(tmp_path):
    Run(tmp_path, until=6).train()
    run = Run(tmp_path, every=6).resume()
    run.scorer.score = stopped
    with pytest.raises(Stopped):
        run.train()
    assert (run.step, run.events) == (6, [])


def test_saves_by_the_clock_and_at_the_end(tmp_path, time):
    run = Run(tmp_path, replace(CONFIG, save_seconds=5.0))
    run.batch = time.takes(1, batch)
    assert run.train().what("save") == [5, 10, 12]


def test_what_is_behind_a_checkpoint_was_logged_before_it(tmp_path):
    """A run that goes on from it does not log that again."""
    run = Run(tmp_path, replace(CONFIG, save_seconds=0.0), every=5).train()
    assert [event for event in run.events if event[1] == 5] == [("log", 5), ("save", 5), ("score", 5)]
    assert [event for event in run.events if event[1] == 12] == [("log", 12), ("save", 12)]


def test_a_checkpoint_that_cannot_be_written_is_an_error(tmp_path):
    run = Run(tmp_path, replace(CONFIG, save_seconds=0.0))
    (tmp_path / "file").write_text("")
    run.checkpoints = Checkpoints(tmp_path / "file", {})
    with pytest.raises(OSError, match="file"):
        run.train()


# Bad numbers


@pytest.mark.parametrize("k", [0, 4, 7, 11])
def test_a_bad_step_leaves_the_checkpoint_of_before(tmp_path, k):
    run = Run(tmp_path, replace(CONFIG, save_seconds=0.0))
    run.batch = bad_from(k)
    with pytest.raises(Diverged, match=f"at step {k}"):
        run.train()
    assert run.what("save") == list(range(1, k + 1))


@pytest.mark.usefixtures("unchecked")
def test_an_unnoticed_bad_step_is_seen_before_the_next_checkpoint(tmp_path):
    run = Run(tmp_path, replace(CONFIG, save_seconds=0.0))
    run.batch = bad_from(6)
    with pytest.raises(Diverged, match="at step 6"):
        run.train()
    assert run.step == 7
    assert run.what("save") == [1, 2, 3, 4, 5, 6]


@pytest.mark.usefixtures("unchecked")
def test_an_unnoticed_bad_step_is_seen_before_the_next_point_of_the_curves(tmp_path):
    run = Run(tmp_path)
    run.batch = bad_from(6)
    with pytest.raises(Diverged, match="at step 6"):
        run.train()
    assert run.step == 10
    assert run.events == [("log", 5)]


@pytest.mark.usefixtures("unchecked")
def test_a_signal_after_an_unnoticed_bad_step_saves_nothing_bad(tmp_path):
    run = Run(tmp_path)
    run.batch, run.stop = bad_from(6), lambda: run.step == 8
    with pytest.raises(Diverged, match="at step 6"):
        run.train()
    assert run.what("save") == []


# Scores on the way


def test_averages_are_scored_where_they_are_due(tmp_path):
    assert Run(tmp_path / "3", every=3).train().what("score") == [3, 6, 9, 12]
    assert Run(tmp_path / "5", every=5).train().what("score") == [5, 10]
    assert Run(tmp_path / "0").train().what("score") == []


def test_scores_that_a_kill_prevented_are_made_up_for(tmp_path):
    """A kill may come between a checkpoint and its scores; those that are there are not made again."""
    Run(tmp_path, until=6, every=0).train()
    run = Run(tmp_path, every=3).resume()
    assert run.train().events[0] == ("score", 6)
    Run(tmp_path / "other", until=6).train()
    again = Run(tmp_path / "other", every=3).resume()
    again.scorer.done = [3, 6, 9]
    assert again.train().what("score") == [12]


# The clock


def test_the_clock_counts_steps_since_it_was_asked(time):
    clock = Clock(3)
    time.now += 2
    assert clock.steps_per_second(7) == 2
    with clock.paused():
        time.now += 50
    time.now += 4
    assert clock.steps_per_second(8) == 0.25


@pytest.mark.parametrize("slow", ["nothing", "scoring", "saving", "logging"])
def test_speed_leaves_out_all_that_is_no_training(tmp_path, time, slow):
    Run(tmp_path, until=3, every=0).train()
    run = Run(tmp_path, replace(CONFIG, save_seconds=0.0), every=3).resume()  # scored at the start as well
    run.batch = time.takes(1, batch)
    if slow == "scoring":
        run.scorer.score = time.takes(100, run.scorer.score)
    if slow == "saving":
        run.save = time.takes(100, run.save)
    if slow == "logging":
        run.log = time.takes(100, run.log)
    run.train()
    assert {step: row["train/images_per_second"] for step, row in run.logs.items()} == {5: 6, 10: 6, 12: 6}


def test_a_clock_that_stands_still_is_no_division_by_zero(tmp_path, time):
    assert all(row["train/images_per_second"] > 0 for row in Run(tmp_path).train().logs.values())


# Several ranks


def joined(rank: int, every: int = 1) -> Ranks:
    dist.init_process_group("gloo")
    return Ranks(rank, dist.get_world_size(), every)


@pytest.mark.parametrize(("every", "expected"), [(1, 3), (4, 4)])
def test_a_signal_to_one_rank_stops_all_at_one_step_with_one_checkpoint(tmp_path, every, expected):
    def work(rank: int) -> list[object]:
        run, ranks = Run(tmp_path / "run"), joined(rank, every)
        run.stop = lambda: rank == 1 and run.step >= 3
        with pytest.raises(Stopped):
            run.train(ranks)
        ranks.any(False)  # rank 0 has saved
        return [run.step, run.what("save")]

    assert together(2, tmp_path / "ranks", work) == [[expected, [expected]], [expected, []]]
    (file,) = (tmp_path / "run").iterdir()
    assert file.name.startswith(f"{expected:08d}-")


def test_saving_by_the_clock_changes_no_bit_and_only_rank_0_saves(tmp_path):
    def work(rank: int) -> list[object]:
        ranks = joined(rank)
        often = Run(tmp_path / "often", replace(CONFIG, save_seconds=0.0)).train(ranks)
        seldom = Run(tmp_path / "seldom").train(ranks)
        equal = same(copies(often.training), copies(seldom.training))
        return [equal, often.what("save"), comparable(often.logs) == comparable(seldom.logs)]

    saved = list(range(1, CONFIG.steps + 1))
    assert together(2, tmp_path / "ranks", work) == [[True, saved, True], [True, [], True]]
    names = [max(path.name for path in (tmp_path / name).iterdir()) for name in ("often", "seldom")]
    assert names[0] == names[1]  # which hold the SHA-256 of all


def test_a_bad_number_on_one_rank_ends_all_before_the_next_checkpoint(tmp_path):
    def bad(step: int) -> tuple[Tensor, Tensor]:
        images, labels = batch(step)
        if step == 6:
            images[-1] = torch.nan  # of the last rank
        return images, labels

    def work(rank: int) -> list[object]:
        trainer.CHECKED_EACH_STEP = frozenset()
        run = Run(tmp_path / "run", replace(CONFIG, save_seconds=0.0))
        run.batch = bad
        try:
            run.train(joined(rank))
        except Diverged as error:
            return [error.step, run.step, run.what("save")[-1:]]
        return []

    assert together(2, tmp_path / "ranks", work) == [[6, 7, [6]], [6, 7, []]]
