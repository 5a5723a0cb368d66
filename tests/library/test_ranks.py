"""Several ranks train as one does; the commands under torchrun are in test_torchrun.py."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from together import together
from torch import Tensor

from rope_dit import flow
from rope_dit.checkpoint import Checkpoints
from rope_dit.config import ModelConfig, TrainConfig
from rope_dit.errors import Stopped, UserError
from rope_dit.model import DiT
from rope_dit.ranks import ONE, RankLost, Ranks
from rope_dit.trainer import Diverged, State, train

CONFIG = TrainConfig(
    **{"steps": 8, "batch": 6, "lr": 0.01, "warmup_steps": 2, "weight_decay": 0.1, "clip": 0.5},
    **{"precision": "fp32", "compile": "off", "log_every": 3, "save_seconds": 1e9, "threads": 1},
)
LOSS, WEIGHTS = 1e-6, 1e-4  # relative and absolute: what another order of sums may change in 8 steps
Logs = dict[int, dict[str, float]]


def fresh() -> State:
    dit = DiT(
        ModelConfig(dim=16, depth=1, num_heads=2), "learned+rope2d",
        channels=1, image_size=(4, 6), num_classes=2, null_class=True,
    )  # fmt: skip
    dit.init_weights(0)
    return State.fresh(dit, CONFIG)


def batch(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    images = torch.rand(6, 1, 4, 6, generator=generator) * 2 - 1
    return images, torch.randint(2, (6,), generator=generator)


def joined(rank: int) -> Ranks:
    dist.init_process_group("gloo")
    return Ranks(rank, dist.get_world_size())


def trained(ranks: Ranks, folder: Path, state: State, **changes: object) -> Logs:
    """Train on; returns what was logged, without the clock."""
    logs: Logs = {}
    options: dict[str, object] = {"batch": batch, "config": CONFIG, "until": CONFIG.steps}
    options |= {"after": lambda state: None, "stop": lambda: False, **changes}
    train(
        state,
        seed=0,
        checkpoints=Checkpoints(folder, {}),
        log=lambda step, values: logs.update({step: dict(values)}),
        ranks=ranks,
        **options,
    )
    return {step: {k: v for k, v in row.items() if "second" not in k} for step, row in logs.items()}


def arrays(state: State) -> dict[str, object]:
    return {name: tensor.detach().numpy().copy() for name, tensor in state.tensors().items()}


def equal(a: dict[str, object], b: dict[str, object]) -> bool:
    return a.keys() == b.keys() and all((a[k] == b[k]).all() for k in a)


def test_several_ranks_train_as_one(tmp_path):
    def work(rank: int) -> tuple[Logs, dict[str, object]]:
        state = fresh()
        return trained(joined(rank), tmp_path / f"{rank}", state), arrays(state)

    one = fresh()
    logs = trained(ONE, tmp_path / "one", one)
    assert list(logs) == [3, 6, 8]
    (logs_0, state_0), (logs_1, state_1) = together(2, tmp_path / "ranks", work)
    assert logs_0 == logs_1
    assert equal(state_0, state_1)  # to the bit, or the ranks would drift apart
    for step, row in logs.items():
        assert logs_0[step] == pytest.approx(row, rel=LOSS)
    for name, values in arrays(one).items():
        assert state_0[name] == pytest.approx(values, abs=WEIGHTS), name
    assert {p.parent.name for p in tmp_path.glob("*/*.safetensors")} == {"0", "one"}  # rank 0 alone saves


def test_a_resumed_training_has_the_bits_of_an_uninterrupted_one(tmp_path):
    """With three ranks, for of two numbers the sum is the same in any order."""

    def work(rank: int) -> list[object]:
        ranks, whole, part = joined(rank), fresh(), fresh()
        logs = trained(ranks, tmp_path / "whole", whole)
        before = trained(ranks, tmp_path / "part", part, until=4)
        again = fresh()
        again.resume(Checkpoints(tmp_path / "part", {}), ranks)
        after = trained(ranks, tmp_path / "part", again)
        return [again.step, equal(arrays(whole), arrays(again)), logs == before | after]

    assert together(3, tmp_path / "ranks", work) == [[8, True, True]] * 3


def test_a_bad_number_on_one_rank_ends_all_at_its_step(tmp_path):
    def bad(step: int) -> tuple[Tensor, Tensor]:
        images, labels = batch(step)
        if step == 5:
            images[-1] = torch.nan  # of the last rank
        return images, labels

    def work(rank: int) -> list[object]:
        state = fresh()
        try:
            trained(joined(rank), tmp_path / "run", state, batch=bad)
        except Diverged as error:
            finite = all(p.isfinite().all() for p in state.model.parameters())
            return [error.step, "loss nan, gradient norm nan" in str(error), finite]
        return []

    assert together(2, tmp_path / "ranks", work) == [[5, True, True]] * 2


@pytest.mark.parametrize(("every", "expected"), [(1, 3), (4, 4)])
def test_a_wish_of_one_rank_stops_all_at_one_step(tmp_path, every, expected):
    def work(rank: int) -> int:
        state, ranks = fresh(), replace(joined(rank), every=every)
        with pytest.raises(Stopped):
            trained(ranks, tmp_path / "run", state, stop=lambda: rank == 1 and state.step >= 3)
        ranks.any(False)  # rank 0 has saved
        return state.step

    assert together(2, tmp_path / "ranks", work) == [expected, expected]
    (file,) = (tmp_path / "run").iterdir()
    assert file.name.startswith(f"{expected:08d}-")


def test_saving_by_the_clock_changes_no_bit(tmp_path):
    def work(rank: int) -> dict[str, object]:
        state = fresh()
        trained(joined(rank), tmp_path / "run", state, config=replace(CONFIG, save_seconds=0.0))
        return arrays(state)

    often, _ = together(2, tmp_path / "ranks", work)
    state = fresh()
    assert Checkpoints(tmp_path / "run", {}).load()[0] == 8
    state.resume(Checkpoints(tmp_path / "run", {}))
    assert equal(arrays(state), often)
    assert len(list((tmp_path / "run").iterdir())) == 2


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
        ranks, state = joined(rank), fresh()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it must notice by itself

        def after(state: State) -> None:
            if rank == 1 and state.step == 3:
                os._exit(9)

        with ranks.lost():
            trained(ranks, tmp_path / "run", state, after=after)

    (kind, text), code = together(2, tmp_path / "ranks", work)
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
