"""Several ranks train as one does; their stops and saves are in test_train_and_score.py."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import tiny
import torch
import torch.distributed as dist
from tiny import Logs, batch
from together import together

from rope_dit import flow, trainer
from rope_dit.checkpoint import Checkpoints
from rope_dit.errors import Diverged, Stopped, UserError
from rope_dit.ranks import ONE, SAID, RankLost, Ranks
from rope_dit.trainer import Batch, Training, train

CONFIG = replace(tiny.CONFIG, steps=8, warmup_steps=2, log_every=3)
LOSS, WEIGHTS = 1e-6, 1e-4  # relative and absolute: what another order of sums may change in 8 steps


def fresh() -> Training:
    return Training.fresh(tiny.model(), CONFIG)


def joined(rank: int) -> Ranks:
    dist.init_process_group("gloo")
    return Ranks(rank, dist.get_world_size())


def trained(
    ranks: Ranks,
    training: Training,
    until: int = CONFIG.steps,
    batch: Batch = batch,
    after: Callable[[int], None] = lambda step: None,
) -> Logs:
    """Train on to step `until`; returns the curves."""
    logs: Logs = {}
    for step in train(training, batch, seed=0, until=until, ranks=ranks):
        if step.number == CONFIG.steps or step.number % CONFIG.log_every == 0:
            values = {"train/lr": step.lr, "train/grad_norm": step.norm.item()}
            logs[step.number] = values | training.curves()
        after(step.number)
    return logs


def arrays(training: Training) -> dict[str, object]:
    return {name: tensor.detach().numpy().copy() for name, tensor in training.tensors().items()}


def equal(a: dict[str, object], b: dict[str, object]) -> bool:
    return a.keys() == b.keys() and all((a[k] == b[k]).all() for k in a)


def test_several_ranks_train_as_one(tmp_path):
    def work(rank: int) -> tuple[Logs, dict[str, object]]:
        training = fresh()
        return trained(joined(rank), training), arrays(training)

    one = fresh()
    logs = trained(ONE, one)
    assert list(logs) == [3, 6, 8]
    (logs_0, training_0), (logs_1, training_1) = together(2, tmp_path, work)
    assert logs_0 == logs_1
    assert equal(training_0, training_1)  # to the bit, or the ranks would drift apart
    for step, row in logs.items():
        assert logs_0[step] == pytest.approx(row, rel=LOSS)
    for name, values in arrays(one).items():
        assert training_0[name] == pytest.approx(values, abs=WEIGHTS), name


@pytest.mark.parametrize("until", [1, 4, 7])
def test_a_resumed_training_has_the_bits_of_an_uninterrupted_one(tmp_path, until):
    """With three ranks, for of two numbers the sum is the same in any order."""

    def work(rank: int) -> list[object]:
        ranks, whole, part, again = joined(rank), fresh(), fresh(), fresh()
        logs = trained(ranks, whole)
        before = trained(ranks, part, until)
        checkpoints = Checkpoints(tmp_path / "part", {})
        if ranks.leads:
            part.save(checkpoints)
        again.resume(checkpoints, ranks)  # only rank 0 looks into the folder
        begun = again.step
        after = trained(ranks, again)
        return [begun, again.step, equal(arrays(whole), arrays(again)), logs == before | after]

    assert together(3, tmp_path / "ranks", work) == [[until, 8, True, True]] * 3


@pytest.mark.parametrize("checked", [True, False])
def test_a_bad_number_on_one_rank_ends_all_at_its_step(tmp_path, checked):
    """On devices that are not checked each step, when the curves are read; by then nothing has changed."""

    def bad(step: int) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = batch(step)
        if step == 4:
            images[-1] = torch.nan  # of the last rank
        return images, labels

    def work(rank: int) -> list[object]:
        if not checked:
            trainer.CHECKED_EACH_STEP = frozenset()
        training, ranks, before = fresh(), joined(rank), fresh()
        trained(ranks, before, until=4)
        try:
            trained(ranks, training, batch=bad)
        except Diverged as error:
            kept = {name: values for name, values in arrays(training).items() if name != "meter"}
            undone = equal(kept, {name: values for name, values in arrays(before).items() if name != "meter"})
            return [error.step, training.step, "loss nan, gradient norm nan" in str(error), undone]
        return []

    assert together(2, tmp_path, work) == [[4, 5 if checked else 6, True, True]] * 2


@pytest.mark.parametrize("where", [0, 1])
def test_what_ran_away_on_one_rank_ends_all_with_its_words(tmp_path, where):
    def work(rank: int) -> list[object]:
        ranks, rounds = joined(rank), []

        def make(item: int) -> int:
            if item == 2 + where:
                raise Diverged(f"item {item} is not finite", 7)
            return item

        with pytest.raises(Diverged) as caught:
            rounds.extend(ranks.divide([0, 1, 2, 3, 4], make, lambda: False))
        return [str(caught.value), caught.value.step, len(rounds)]

    assert together(2, tmp_path, work) == [[f"item {2 + where} is not finite", 7, 1]] * 2


def test_what_rank_0_finds_and_what_it_raises_is_for_all(tmp_path):
    def work(rank: int) -> list[object]:
        ranks = joined(rank)
        found: list[object] = [ranks.first(lambda: {"rank": rank})]
        order = tmp_path / "order"

        def look() -> bool:
            there = order.exists()
            order.touch()
            return there

        found.append(ranks.first_alone(look))
        found.append(ranks.gather(rank * 10))
        with pytest.raises(UserError, match="bad input") as caught:
            ranks.first(lambda: refuse(rank))
        found.append(caught.value.details)
        with pytest.raises(ZeroDivisionError if rank == 0 else RankLost):
            ranks.first(lambda: rank / 0)
        return found

    def refuse(rank: int) -> None:
        raise UserError(f"bad input of rank {rank}", ["one", "two"])

    details = ("one", "two")
    expected = [[{"rank": 0}, False, [0, 10], details], [{"rank": 0}, True, [], details]]
    assert together(2, tmp_path / "ranks", work) == expected
    assert together(1, tmp_path / "alone", lambda rank: ONE.first(lambda: 7)) == [7]


def test_what_the_leading_rank_makes_is_there_before_the_others_go_on(tmp_path):
    made = tmp_path / "made"

    def make(rank: int) -> object:
        time.sleep(0.3)  # the others would be faster
        made.write_text(str(rank))
        return lambda: rank  # which cannot be sent to other ranks, and need not be

    def work(rank: int) -> list[object]:
        ranks = joined(rank)
        found = ranks.leading(lambda: make(rank), "other")
        there = made.read_text()
        return [there, found() if rank == 0 else found, ranks.leading(lambda: None, rank)]

    assert together(3, tmp_path / "ranks", work) == [["0", 0, None], ["0", "other", 1], ["0", "other", 2]]
    assert ONE.leading(lambda: 7, 8) == 7


def test_what_the_leading_rank_raises_ends_all(tmp_path):
    def refuse() -> None:
        raise UserError("bad input", ["one", "two"])

    def stop() -> None:
        raise Stopped

    def work(rank: int) -> list[object]:
        ranks = joined(rank)
        with pytest.raises(UserError, match="bad input") as caught:
            ranks.leading(refuse, None)
        with pytest.raises(Stopped):
            ranks.leading(stop, None)
        with pytest.raises(ZeroDivisionError if rank == 0 else RankLost):
            ranks.leading(lambda: 1 / 0, None)
        return [caught.value.details, getattr(caught.value, "__notes__", [])]

    expected = [[("one", "two"), []], [("one", "two"), [SAID]]]  # rank 0 says it, the other only ends
    assert together(2, tmp_path, work) == expected
    with pytest.raises(UserError):
        ONE.leading(refuse, None)


def test_divided_work_comes_back_with_its_items(tmp_path):
    def work(rank: int) -> list[object]:
        ranks, mine = joined(rank), []
        found = list(ranks.divide("abcde", lambda item: mine.append(item) or item.upper(), lambda: False))
        return [mine, found]

    rounds = [[("a", "A"), ("b", "B")], [("c", "C"), ("d", "D")], [("e", "E")]]
    expected = [[["a", "c", "e"], rounds], [["b", "d"], [[], [], []]]]
    assert together(2, tmp_path / "ranks", work) == expected
    assert list(ONE.divide("ab", str.upper, lambda: False)) == [[("a", "A")], [("b", "B")]]


@pytest.mark.parametrize("inside", [True, False])
def test_a_wish_of_one_rank_ends_divided_work_on_all(tmp_path, inside):
    """Rank 1 stops in its second item: inside its work, or as it is asked before."""

    def work(rank: int) -> int:
        ranks, done = joined(rank), []

        def one(item: int) -> int:
            if inside and item == 3:
                raise Stopped
            done.append(item)
            return item

        with pytest.raises(Stopped):
            list(ranks.divide(range(6), one, lambda: not inside and rank == 1 and len(done) == 1))
        return len(done)

    assert together(2, tmp_path / "ranks", work) == [2, 1]


def test_a_rank_that_dies_leaves_no_other_waiting(tmp_path):
    def work(rank: int) -> None:
        ranks = joined(rank)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it must notice by itself
        with ranks.lost():
            trained(ranks, fresh(), after=lambda step: os._exit(9) if rank == 1 and step == 3 else None)

    (kind, text), code = together(2, tmp_path, work)
    assert code == 9
    assert kind is RankLost
    assert text.startswith("another rank is gone")


def test_other_errors_of_torch_are_not_taken_for_a_lost_rank():
    with pytest.raises(RuntimeError, match="out of memory") as caught, Ranks(0, 2).lost():
        raise RuntimeError("CUDA out of memory")
    assert not isinstance(caught.value, RankLost)


def test_a_single_process_pays_nothing():
    """The same tensors and functions come back: no copy, no wrapper."""
    values = torch.ones(4)
    assert ONE.share(flow.loss, fresh().model).func is flow.loss
    assert ONE.part(values) is ONE.sum(values) is ONE.mean(values) is values
    assert ONE.leads
    assert not dist.is_initialized()
