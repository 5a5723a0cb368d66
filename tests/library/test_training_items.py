"""The training loop with whatever is registered: resumed to the bit, alone and on ranks; its curves."""

from dataclasses import replace

import pytest
import torch.distributed as dist
from test_trainer import Run
from tiny import CONFIG, copies, model, same
from together import together

from rope_dit import trainer
from rope_dit.config import TrainConfig, spec_fields
from rope_dit.ranks import Ranks
from rope_dit.registry import OPTIMIZERS
from rope_dit.trainer import Training, train

SETTINGS = [(name, spec) for name, registry in spec_fields(TrainConfig).items()
            for entry in registry for spec in entry.specs()]  # fmt: skip


def changed(name: str, spec: str) -> TrainConfig:
    return replace(CONFIG, **{name: (spec,) if name == "averages" else spec})


@pytest.mark.parametrize(("name", "spec"), SETTINGS)
def test_a_resumed_training_is_the_same_to_the_bit(tmp_path, name, spec):
    config = changed(name, spec)
    whole = Run(tmp_path / "whole", config).train()
    Run(tmp_path, config).train(leave_at=5)
    rest = Run(tmp_path, config, model(seed=99))
    rest.training.resume(rest.checkpoints)
    assert rest.training.step == 5
    rest.train()
    assert same(copies(rest.training), copies(whole.training))
    assert rest.logs.items() <= whole.logs.items()


@pytest.mark.parametrize("spec", [spec for entry in OPTIMIZERS for spec in entry.specs()])
def test_ranks_agree_and_resume_to_the_bit(tmp_path, spec):
    config = changed("optimizer", spec)

    def work(rank: int) -> list[bool]:
        dist.init_process_group("gloo")
        ranks = Ranks(rank, 2, 1)

        def go_on(training: Training, until: int) -> Training:
            for _ in train(training, Run(tmp_path).batch, seed=0, until=until, ranks=ranks):
                pass
            return training

        whole = go_on(Training.fresh(model(), config), 6)
        half = Run(tmp_path / "half", config)
        go_on(half.training, 3)
        if rank == 0:
            half.training.save(half.checkpoints)
        ranks.any(False)  # rank 0 has saved
        rest = Run(tmp_path / "half", config, model(seed=99))
        rest.training.resume(rest.checkpoints, ranks)
        mine = copies(go_on(rest.training, 6))
        first = {name: tensor.clone() for name, tensor in mine.items()}
        ranks.spread(first.values())
        return [same(mine, copies(whole)), same(mine, first)]

    assert together(2, tmp_path / "ranks", work) == [[True, True]] * 2


@pytest.mark.parametrize("spec", [spec for entry in OPTIMIZERS for spec in entry.specs()])
def test_from_a_bad_step_on_nothing_changes_though_nobody_looks(tmp_path, monkeypatch, spec):
    monkeypatch.setattr(trainer, "CHECKED_EACH_STEP", frozenset())
    run = Run(tmp_path, changed("optimizer", spec))
    good = run.batch
    run.batch = lambda step: (good(step)[0] / (step != 2), good(step)[1])  # x/0 is inf or nan
    steps = train(run.training, lambda step: run.batch(step), seed=0, until=4)
    seen = [copies(run.training) for _ in steps]
    assert all(same(seen[1], later) for later in seen[2:])
    with pytest.raises(trainer.Diverged, match="at step 2"):
        run.training.curves()


def test_curves_tell_the_velocity_s_loss_beside_the_trained_one(tmp_path):
    velocity = Run(tmp_path / "v").train().logs
    other = Run(tmp_path / "x", changed("objective", "x:loss=x")).train().logs
    for step in (5, 10, 12):
        assert velocity[step]["train/velocity_loss"] == velocity[step]["train/loss"]
        # (1 - t)^2 of the velocity's error, which is larger
        assert 0 < other[step]["train/loss"] < other[step]["train/velocity_loss"]
        assert {key.partition("/")[0] for key in other[step]} == {"train", "loss_by_t", "velocity_loss_by_t"}


def test_no_steps_no_curves(tmp_path):
    assert Run(tmp_path).training.curves() == {}
