"""The clock of a run's loop, and the loop on several ranks."""

from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
from loops import (  # noqa: F401  fixtures
    TIMED,
    Run,
    Scorer,
    Time,
    bad_from,
    comparable,
    stopped,
    time_fixture,
    unchecked_fixture,
)
from tiny import CONFIG, batch, copies, same
from together import together
from torch import Tensor

from experiments.runner.execute import Clock
from rope_dit import trainer
from rope_dit.errors import Stopped
from rope_dit.ranks import Ranks
from rope_dit.trainer import Diverged

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
