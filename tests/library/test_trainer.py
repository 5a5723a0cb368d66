"""The training loop against a plain one, its resumption, its clock; bad numbers are in test_divergence.py."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from rope_dit import flow, trainer
from rope_dit.checkpoint import Checkpoints
from rope_dit.config import ModelConfig, TrainConfig
from rope_dit.errors import Stopped, UserError
from rope_dit.model import DiT
from rope_dit.trainer import State, learning_rate, train

CONFIG = TrainConfig(
    steps=12,
    batch=6,
    lr=0.01,
    warmup_steps=3,
    weight_decay=0.1,
    clip=0.5,
    precision="fp32",
    compile="off",
    log_every=5,
    save_seconds=1e9,
)
Logs = dict[int, dict[str, float]]


def model(seed: int = 0, **settings: object) -> DiT:
    config = ModelConfig(dim=16, depth=1, num_heads=2, mlp_ratio=2, **settings)
    dit = DiT(config, "learned+rope2d", channels=1, image_size=(4, 6), num_classes=2, null_class=True)
    dit.init_weights(seed)
    return dit


def batch(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    images = torch.rand(6, 1, 4, 6, generator=generator) * 2 - 1
    return images, torch.randint(2, (6,), generator=generator)


class Run:
    """One training with everything it reported: `snapshots[s]` are copies of all tensors after step s."""

    def __init__(self, folder: Path, config: TrainConfig = CONFIG, dit: DiT | None = None):
        self.config, self.checkpoints = config, Checkpoints(folder, {"seed": "0"})
        self.state = State.fresh(dit or model(), config)
        self.logs: Logs = {}
        self.snapshots: dict[int, dict[str, Tensor]] = {}
        self.after: Callable[[State], None] = lambda state: None
        self.stop: Callable[[], bool] = lambda: False
        self.batch = batch

    def train(self) -> "Run":
        train(
            self.state,
            lambda step: self.batch(step),
            self.config,
            seed=0,
            until=self.config.steps,
            checkpoints=self.checkpoints,
            log=lambda step, values: self.logs.update({step: dict(values)}),
            after=self._after,
            stop=lambda: self.stop(),
        )
        return self

    def _after(self, state: State) -> None:
        self.snapshots[state.step] = copies(state)
        self.after(state)


def copies(state: State) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in state.tensors().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def comparable(logs: Logs) -> Logs:
    return {s: {k: v for k, v in row.items() if k != "train/images_per_second"} for s, row in logs.items()}


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", {0: 0.25, 1: 0.5, 3: 1, 4: 1, 11: 1}),
        ("cosine", {0: 0.25, 1: 0.5, 3: 1, 4: 1, 8: 0.5, 10: 0.5 - math.sqrt(2) / 4}),
    ],
)
def test_learning_rate(schedule, expected):
    config = replace(CONFIG, lr=2.0, warmup_steps=4, schedule=schedule)
    for step, share in expected.items():
        assert learning_rate(config, step) == pytest.approx(2 * share), step


def test_learning_rate_at_the_edges():
    assert learning_rate(replace(CONFIG, lr=2.0, warmup_steps=0), 0) == 2
    every = replace(CONFIG, lr=2.0, warmup_steps=CONFIG.steps)
    assert learning_rate(every, CONFIG.steps - 1) == 2
    assert all(learning_rate(CONFIG, s) > 0 for s in range(CONFIG.steps))


def test_the_loop_is_a_plain_loop_with_adamw_and_ema(tmp_path):
    """Same weights and averages as torch's own AdamW without fusing or masks, stepped in the plainest way."""
    run = Run(tmp_path).train()
    dit = model()
    matrices, vectors = ([p for p in dit.parameters() if (p.dim() > 1) == wide] for wide in (True, False))
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.99), foreach=False)
    average = {name: p.detach().clone() for name, p in dit.named_parameters()}
    for step in range(CONFIG.steps):
        images, labels = batch(step)
        draw = flow.draws(CONFIG, 0, step, images.shape, images.device)
        loss = flow.loss(dit, images, labels, draw, 2).mean()
        optimizer.zero_grad()
        loss.backward()
        norm = torch.stack([p.grad.square().sum() for p in dit.parameters()]).sum().sqrt()
        assert norm > CONFIG.clip, "gradients are too small for this test to see clipping"
        for p in dit.parameters():
            p.grad *= CONFIG.clip / norm
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(CONFIG, step)
        optimizer.step()
        decay = min(CONFIG.ema_decay, (1 + step) / (10 + step))
        average = {n: decay * average[n] + (1 - decay) * p.detach() for n, p in dit.named_parameters()}
    got, (profile,) = copies(run.state), run.state.ema.profiles
    for name, p in dit.named_parameters():
        torch.testing.assert_close(got[f"model.{name}"], p.detach(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(got[f"ema.{profile}.{name}"], average[name], rtol=1e-4, atol=1e-5)
        assert got[f"adamw.step.{name}"] == CONFIG.steps


def test_a_small_model_learns_two_pictures(tmp_path):
    """At first the velocity is 0, so that the loss is |x1 - x0|^2, on average 1 + 0.5^2."""
    pictures = torch.stack((torch.full((1, 4, 6), 0.5), torch.full((1, 4, 6), -0.5)))
    config = replace(CONFIG, steps=150, log_every=10, clip=10.0, weight_decay=0.0)
    run = Run(tmp_path, config)
    run.batch = lambda step: (pictures.repeat(3, 1, 1, 1), torch.tensor([0, 1] * 3))
    run.train()
    losses = [row["train/loss"] for row in run.logs.values()]
    assert len(losses) == 15
    assert losses[-1] < 0.3 * 1.25, losses


@pytest.mark.parametrize("stops", [[1], [5], [4, 5, 11]])
def test_a_resumed_run_is_the_same_to_the_bit(tmp_path, stops):
    whole = Run(tmp_path / "whole").train()
    logs: Logs = {}
    for last in [*stops, CONFIG.steps]:
        part = Run(tmp_path / "parts", dit=model(seed=99))  # other weights: all must come from the checkpoint
        if logs or last != stops[0]:
            part.state.resume(part.checkpoints)
        else:
            part.state = State.fresh(model(), CONFIG)
        part.stop = lambda part=part, last=last: part.state.step == last
        if last == CONFIG.steps:
            part.train()
        else:
            with pytest.raises(Stopped):
                part.train()
        assert part.state.step == last
        logs |= part.logs
        assert same(copies(part.state), whole.snapshots[last])
    assert comparable(logs) == comparable(whole.logs)
    assert list(logs) == [5, 10, 12]


def test_resume_of_a_finished_run_does_nothing(tmp_path):
    run = Run(tmp_path).train()
    again = Run(tmp_path, dit=model(seed=99))
    again.state.resume(again.checkpoints)
    again.train()
    assert not again.logs
    assert list(again.snapshots) == [CONFIG.steps]
    assert same(copies(again.state), copies(run.state))


def test_resume_without_a_checkpoint_starts_at_0_and_with_another_model_s_is_refused(tmp_path):
    run = Run(tmp_path)
    run.state.resume(run.checkpoints)
    assert run.state.step == 0
    run.train()
    other = Run(tmp_path, dit=model(qk_norm=True))
    with pytest.raises(UserError, match="does not fit this model") as caught:
        other.state.resume(other.checkpoints)
    assert any(
        line.startswith("model.blocks.0.attention.q_norm.weight: missing") for line in caught.value.details
    )


def test_stop_saves_once_and_raises(tmp_path):
    run = Run(tmp_path)
    run.stop = lambda: run.state.step == 4
    with pytest.raises(Stopped):
        run.train()
    step, saved = run.checkpoints.load()
    assert step == 4
    assert same(saved, run.snapshots[4])


def test_stopped_by_a_long_scoring_saves_too(tmp_path):
    def scoring(state: State) -> None:
        if state.step == 3:
            raise Stopped

    run = Run(tmp_path)
    run.after = scoring
    with pytest.raises(Stopped):
        run.train()
    assert run.checkpoints.load()[0] == 3


def test_logged_losses_by_t_average_to_the_loss(tmp_path):
    run = Run(tmp_path).train()
    for first, last in ((0, 5), (5, 10), (10, 12)):
        t = torch.cat(
            [flow.draws(CONFIG, 0, s, (6, 1, 4, 6), torch.device("cpu")).t_B for s in range(first, last)]
        )
        counts = torch.histc(t, 10, 0, 1).tolist()
        row = run.logs[last]
        by_t = {i: row.get(f"loss_by_t/{i}") for i in range(10)}
        assert {i for i in by_t if by_t[i] is not None} == {i for i in by_t if counts[i]}
        mean = sum(counts[i] * loss for i, loss in by_t.items() if loss is not None) / len(t)
        assert row["train/loss"] == pytest.approx(mean, rel=1e-5)
        assert row["train/lr"] == learning_rate(CONFIG, last - 1)
        assert row["train/grad_norm"] > 0


class Clock:
    """A batch takes one second, scoring 100; nothing else takes any."""

    def __init__(self) -> None:
        self.now = 5.0

    def monotonic(self) -> float:
        return self.now

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        self.now += 1
        return batch(step)

    def score(self, state: State) -> None:
        self.now += 100


@pytest.mark.parametrize("scoring", [True, False])
def test_speed_leaves_out_scoring_and_saving(tmp_path, monkeypatch, scoring):
    clock = Clock()
    monkeypatch.setattr(trainer, "time", SimpleNamespace(monotonic=clock.monotonic))
    run = Run(tmp_path)
    run.batch = clock.batch
    run.after = clock.score if scoring else run.after
    run.train()
    assert [row["train/images_per_second"] for row in run.logs.values()] == [6, 6, 6]


def test_saves_by_the_clock_and_at_the_end(tmp_path, monkeypatch):
    clock, saved = Clock(), []
    monkeypatch.setattr(trainer, "time", SimpleNamespace(monotonic=clock.monotonic))
    run = Run(tmp_path, replace(CONFIG, save_seconds=5.0))
    run.batch = clock.batch
    run.after = lambda state: saved.append((run.checkpoints.load() or [0])[0])
    run.train()
    assert saved == [0, 0, 0, 0, 0, 5, 5, 5, 5, 5, 10, 10, 12]


def test_a_clock_that_stands_still_is_no_division_by_zero(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "time", SimpleNamespace(monotonic=lambda: 1.0))
    assert all(row["train/images_per_second"] > 0 for row in Run(tmp_path).train().logs.values())


def test_bf16_stays_near_fp32_and_keeps_weights_in_float32(tmp_path):
    fp32 = Run(tmp_path / "fp32").train()
    bf16 = Run(tmp_path / "bf16", replace(CONFIG, precision="bf16")).train()
    assert all(tensor.dtype == torch.float32 for tensor in bf16.state.tensors().values())
    for step, row in fp32.logs.items():
        assert bf16.logs[step]["train/loss"] == pytest.approx(row["train/loss"], rel=0.02)
        assert bf16.logs[step]["train/loss"] != row["train/loss"]


@pytest.mark.slow
def test_compiled_training_gives_the_same_losses(tmp_path):
    eager = Run(tmp_path / "eager").train()
    fast = Run(tmp_path / "compiled", replace(CONFIG, compile="on")).train()
    for step, row in eager.logs.items():
        assert fast.logs[step]["train/loss"] == pytest.approx(row["train/loss"], rel=1e-4)
    for name, tensor in copies(eager.state).items():
        torch.testing.assert_close(copies(fast.state)[name], tensor, rtol=1e-3, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("compile_mode", ["off", "on", "graphs"])
def test_cuda_learns_as_the_cpu_does_and_never_waits(tmp_path, compile_mode):
    cpu = Run(tmp_path / "cpu").train()
    config = replace(CONFIG, compile=compile_mode, log_every=1000)
    run = Run(tmp_path / "cuda", config, dit=model().cuda())
    images = {step: tuple(x.cuda() for x in batch(step)) for step in range(CONFIG.steps)}
    run.batch = images.__getitem__

    def watch(state: State) -> None:  # the first steps compile, the last one logs and saves
        torch.cuda.set_sync_debug_mode("error" if 4 <= state.step < CONFIG.steps - 1 else "default")

    run.after = watch
    try:
        run.train()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert run.logs[12]["train/loss"] == pytest.approx(
        sum(cpu.logs[s]["train/loss"] * n for s, n in ((5, 5), (10, 5), (12, 2))) / 12, rel=1e-2
    )
