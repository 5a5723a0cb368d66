"""What the training loop does when a loss or a gradient is not finite: it says so and keeps nothing bad."""

import math
from collections.abc import Callable

import pytest
import torch
from test_trainer import Run
from tiny import CONFIG, batch, copies, same
from torch import Tensor

from rope_dit import trainer
from rope_dit.trainer import Diverged, learning_rate


def bad_image(value: float) -> Callable[[Run, int], None]:
    def inject(run: Run, k: int) -> None:
        def bad_batch(step: int) -> tuple[Tensor, Tensor]:
            images, labels = batch(step)
            if step == k:
                images[2, 0, 1, 1] = value
            return images, labels

        run.batch = bad_batch

    return inject


def bad_gradient(value: float) -> Callable[[Run, int], None]:
    def inject(run: Run, k: int) -> None:
        weight = run.training.model.patchify.weight
        weight.register_hook(lambda grad: grad + value if run.training.step == k else grad)

    return inject


BAD = {
    "nan in a picture": bad_image(math.nan),
    "inf in a picture": bad_image(math.inf),
    "loss overflows": bad_image(1e30),
    "nan gradient": bad_gradient(math.nan),
    "inf gradient": bad_gradient(math.inf),
}


@pytest.mark.parametrize("k", [0, 4, 7, 11])
@pytest.mark.parametrize("how", BAD)
def test_divergence_is_noticed_before_the_update(tmp_path, how, k):
    run = Run(tmp_path, save_each=True)
    BAD[how](run, k)
    with pytest.raises(Diverged, match=rf"^diverged at step {k}: loss .*, gradient norm (nan|inf)") as caught:
        run.train()
    assert caught.value.step == k
    assert len(str(caught.value)) <= 200
    assert max(run.snapshots) == k
    assert same(copies(run.training), run.snapshots[k])
    assert all(torch.isfinite(tensor).all() for tensor in copies(run.training).values())
    assert (run.checkpoints.load() or [0])[0] == k


@pytest.mark.parametrize("how", BAD)
def test_where_looking_costs_time_divergence_is_noticed_late_but_changes_nothing(tmp_path, how, monkeypatch):
    """As on CUDA: from the bad step on everything is masked out, until the curves are read."""
    monkeypatch.setattr(trainer, "CHECKED_EACH_STEP", frozenset())
    run = Run(tmp_path)
    BAD[how](run, 6)
    with pytest.raises(
        Diverged, match=rf"at step 6: loss .*lr \(now {learning_rate(CONFIG, CONFIG.lr, 6):g}\)"
    ) as caught:
        run.train()
    assert caught.value.step == 6
    assert max(run.snapshots) == 9
    assert all(same(run.snapshots[step], run.snapshots[6]) for step in (7, 8, 9))
    assert same(copies(run.training), run.snapshots[6])
    assert run.checkpoints.load() is None


def test_the_first_bad_step_is_the_one_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "CHECKED_EACH_STEP", frozenset())
    run = Run(tmp_path)
    run.batch = lambda step: (batch(step)[0] * (math.inf if step >= 6 else 1), batch(step)[1])
    with pytest.raises(Diverged, match="at step 6"):
        run.train()


@pytest.mark.parametrize("how", BAD)
def test_nothing_is_saved_or_read_without_a_look_at_the_loss(tmp_path, monkeypatch, how):
    """Whoever leaves the loop after an unnoticed bad step can take nothing bad with him."""
    monkeypatch.setattr(trainer, "CHECKED_EACH_STEP", frozenset())
    run = Run(tmp_path, save_each=True)
    BAD[how](run, 6)
    with pytest.raises(Diverged, match="at step 6"):
        run.train()
    assert max(run.snapshots) == 7
    step, saved = run.checkpoints.load()
    assert step == 6
    assert same(saved, run.snapshots[6])
    for leave in (lambda: run.training.save(run.checkpoints), run.training.curves):
        with pytest.raises(Diverged, match="at step 6"):
            leave()
    assert run.checkpoints.load()[0] == 6


def test_a_loop_left_after_an_unnoticed_bad_step_saves_nothing_bad(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "CHECKED_EACH_STEP", frozenset())
    run = Run(tmp_path)
    BAD["nan in a picture"](run, 6)
    with pytest.raises(Diverged, match="at step 6"):
        run.train(leave_at=8)
    assert run.checkpoints.load() is None


@pytest.mark.parametrize("checked", [True, False])
def test_going_back_to_a_checkpoint_forgets_the_bad_step(tmp_path, monkeypatch, checked):
    if not checked:
        monkeypatch.setattr(trainer, "CHECKED_EACH_STEP", frozenset())
    run = Run(tmp_path / "bad").train(until=5)
    run.batch = lambda step: (batch(step)[0] * math.nan, batch(step)[1])
    with pytest.raises(Diverged, match="at step 5"):
        run.train()
    run.batch = batch
    with pytest.raises(Diverged, match="at step 5"):
        run.train()  # from a bad step there is no way on
    run.training.resume(run.checkpoints)
    assert run.training.step == 5
    assert same(copies(run.train().training), copies(Run(tmp_path / "good").train().training))


def test_the_checks_alone_change_nothing(tmp_path, monkeypatch):
    run = Run(tmp_path / "each").train()
    monkeypatch.setattr(trainer, "CHECKED_EACH_STEP", frozenset())
    assert same(copies(run.training), copies(Run(tmp_path / "late").train().training))
