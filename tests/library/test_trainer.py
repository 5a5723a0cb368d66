"""The training loop against a plain one, and its resumption; bad numbers are in test_divergence.py."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import CONFIG, Logs, batch, copies, draws, model, same
from torch import Tensor

from rope_dit import flow
from rope_dit.checkpoint import Checkpoints
from rope_dit.config import ModelConfig, TrainConfig
from rope_dit.errors import UserError
from rope_dit.model import DiT
from rope_dit.objectives.velocity import Velocity
from rope_dit.registry import OBJECTIVES, OPTIMIZERS
from rope_dit.trainer import Training, learning_rate, train


class Run:
    """A loop such as a user writes, with everything it saw: `snapshots[s]` copies all tensors after step s.

    Args:
        folder: of its checkpoints.
        config: its settings.
        dit: its network.
        save_each: save after each step, not only at the end.
    """

    def __init__(
        self, folder: Path, config: TrainConfig = CONFIG, dit: DiT | None = None, save_each: bool = False
    ):
        self.config, self.save_each = config, save_each
        self.checkpoints = Checkpoints(folder, {"seed": "0"})
        self.training = Training.fresh(dit or model(), config)
        self.logs: Logs = {}
        self.snapshots: dict[int, dict[str, Tensor]] = {}
        self.batch = batch

    def train(self, until: int = 0, leave_at: int = 0) -> "Run":
        """Train to step `until`; the loop is left at `leave_at`, in both cases with a checkpoint."""
        self.snapshots[self.training.step] = copies(self.training)
        until = until or self.config.steps
        for step in train(self.training, lambda step: self.batch(step), seed=0, until=until):
            assert step.number == self.training.step
            if step.number == self.config.steps or step.number % self.config.log_every == 0:
                values = {"train/lr": step.lr, "train/grad_norm": step.norm.item()}
                self.logs[step.number] = values | self.training.curves()
            self.snapshots[step.number] = copies(self.training)
            if self.save_each:
                self.training.save(self.checkpoints)
            if step.number == leave_at:
                break
        if not self.save_each:
            self.training.save(self.checkpoints)
        return self


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", {0: 0.25, 1: 0.5, 3: 1, 4: 1, 11: 1}),
        ("cosine", {0: 0.25, 1: 0.5, 3: 1, 4: 1, 8: 0.5, 10: 0.5 - math.sqrt(2) / 4}),
    ],
)
def test_learning_rate(schedule, expected):
    config = replace(CONFIG, warmup_steps=4, schedule=schedule)
    for step, share in expected.items():
        assert learning_rate(config, 2.0, step) == pytest.approx(2 * share), step


def test_learning_rate_at_the_edges():
    assert learning_rate(replace(CONFIG, warmup_steps=0), 2.0, 0) == 2
    every = replace(CONFIG, warmup_steps=CONFIG.steps)
    assert learning_rate(every, 2.0, CONFIG.steps - 1) == 2
    assert all(learning_rate(CONFIG, 1.0, s) > 0 for s in range(CONFIG.steps))


def test_the_loop_is_a_plain_loop_with_adamw_and_ema(tmp_path):
    """Same weights and averages as torch's own AdamW without fusing or masks, stepped in the plainest way."""
    run = Run(tmp_path, dit=model(registers=2)).train()
    dit = model(registers=2)
    tables = ("pos_embed.", "label.", "registers")
    decayed = {name for name, p in dit.named_parameters() if p.dim() > 1 and not name.startswith(tables)}
    matrices, vectors = (
        [p for name, p in dit.named_parameters() if (name in decayed) == wide] for wide in (True, False)
    )
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.99), foreach=False)
    average = {name: p.detach().clone() for name, p in dit.named_parameters()}
    for step in range(CONFIG.steps):
        images, labels = batch(step)
        draw = draws(CONFIG, 0, step, images.shape)
        loss = flow.loss(dit, Velocity(), images, labels, draw, 2)[0].mean()
        optimizer.zero_grad()
        loss.backward()
        norm = torch.stack([p.grad.square().sum() for p in dit.parameters()]).sum().sqrt()
        assert norm > CONFIG.clip, "gradients are too small for this test to see clipping"
        for p in dit.parameters():
            p.grad *= CONFIG.clip / norm
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(CONFIG, CONFIG.lr, step)
        optimizer.step()
        decay = min(0.99, (1 + step) / (10 + step))
        average = {n: decay * average[n] + (1 - decay) * p.detach() for n, p in dit.named_parameters()}
    got, (profile,) = copies(run.training), run.training.ema.profiles
    for name, p in dit.named_parameters():
        torch.testing.assert_close(got[f"model.{name}"], p.detach(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(got[f"ema.{profile}.{name}"], average[name], rtol=1e-4, atol=1e-5)
        assert got[f"adamw.step.{name}"] == CONFIG.steps


def test_muon_is_torch_s_own_for_each_matrix_of_a_block_and_adamw_for_all_else():
    """One above the other, q, k and v or gate and up would be made orthogonal together."""
    stacked = {"attention.qkv": 3, "attention.proj": 1, "mlp.gate_and_up": 2, "mlp.down": 1}
    matrices = {f"blocks.0.{name}.weight": count for name, count in stacked.items()}
    weights = dict(model(mlp="swiglu").named_parameters())
    parts = {
        name: [torch.nn.Parameter(part.detach().clone()) for part in weights[name].chunk(count)]
        for name, count in matrices.items()
    }
    others = {
        name: torch.nn.Parameter(p.detach().clone()) for name, p in weights.items() if name not in parts
    }
    muon = OPTIMIZERS.bind("muon:lr=0.1,momentum=0.8")(weights, CONFIG)
    plain = torch.optim.Muon(
        [part for of in parts.values() for part in of], lr=0.05, momentum=0.8, weight_decay=0.1
    )
    adamw = OPTIMIZERS.bind("adamw")(others, CONFIG)
    generator, good = torch.Generator().manual_seed(0), torch.zeros(())
    for _ in range(3):
        for name, p in weights.items():
            p.grad = torch.randn(p.shape, generator=generator)
            for part, its in zip(parts.get(name, []), p.grad.chunk(matrices.get(name, 1)), strict=False):
                part.grad = its.clone()
            if name in others:
                others[name].grad = p.grad.clone()
        muon.step(lambda highest: 0.5 * highest, good)
        plain.step()
        adamw.step(lambda highest: 0.5 * highest, good)
    for name, p in weights.items():
        expected = torch.cat(parts[name]) if name in parts else others[name]
        assert torch.equal(p, expected), name


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


@pytest.fixture
def whole(tmp_path: Path) -> Run:
    """A training from its start to its end."""
    return Run(tmp_path / "whole").train()


@pytest.mark.parametrize("how", ["until", "left"])
@pytest.mark.parametrize("stops", [*([step] for step in range(1, CONFIG.steps)), [4, 5, 11]])
def test_a_resumed_training_is_the_same_to_the_bit(tmp_path, whole, stops, how):
    """After any step, whether the loop ended there or was left."""
    logs: Logs = {}
    for last in [*stops, CONFIG.steps]:
        part = Run(tmp_path, dit=model(seed=99))  # other weights: all must come from the checkpoint
        if last == stops[0]:
            part.training = Training.fresh(model(), CONFIG)
        else:
            part.training.resume(part.checkpoints)
        part.train(**({"until": last} if how == "until" else {"leave_at": last}))
        assert part.training.step == last
        assert same(copies(part.training), whole.snapshots[last])
        logs |= part.logs
    assert logs == whole.logs
    assert list(logs) == [5, 10, 12]


def test_a_loop_that_was_left_goes_on_without_a_checkpoint(tmp_path, whole):
    run = Run(tmp_path)
    for step in (1, 4, 5, 9, CONFIG.steps):
        run.train(leave_at=step)
    assert run.logs == whole.logs
    assert all(same(run.snapshots[step], whole.snapshots[step]) for step in range(CONFIG.steps + 1))


def test_nothing_is_trained_before_the_first_step_is_asked_for(tmp_path):
    run = Run(tmp_path)
    before = copies(run.training)
    train(run.training, batch, seed=0, until=CONFIG.steps)
    assert same(copies(run.training), before)


def test_resume_of_a_finished_training_does_nothing(tmp_path):
    run = Run(tmp_path).train()
    again = Run(tmp_path, dit=model(seed=99))
    again.training.resume(again.checkpoints)
    again.train()
    assert not again.logs
    assert list(again.snapshots) == [CONFIG.steps]
    assert same(copies(again.training), copies(run.training))


def test_resume_without_a_checkpoint_starts_at_0_and_with_another_model_s_is_refused(tmp_path):
    run = Run(tmp_path)
    run.training.resume(run.checkpoints)
    assert run.training.step == 0
    run.train()
    other = Run(tmp_path, dit=model(qk_norm=True))
    with pytest.raises(UserError, match="does not fit this model") as caught:
        other.training.resume(other.checkpoints)
    assert any(
        line.startswith("model.blocks.0.attention.q_norm.weight: missing") for line in caught.value.details
    )


@pytest.mark.parametrize("objective", ["velocity", "x"])
def test_a_training_knows_when_its_curves_were_read_last_also_out_of_a_checkpoint(tmp_path, objective):
    config = replace(CONFIG, objective=objective)
    training, again = Training.fresh(model(), config), Training.fresh(model(), config)
    assert training.logged == 0
    for step in train(training, batch, seed=0, until=5):
        assert training.logged == (0 if step.number <= 3 else 3)
        if step.number == 3:
            training.curves()
    training.save(Checkpoints(tmp_path, {}))
    again.resume(Checkpoints(tmp_path, {}))
    assert (again.step, again.logged) == (5, 3)


def test_losses_by_t_average_to_the_loss(whole):
    for first, last in ((0, 5), (5, 10), (10, 12)):
        t = torch.cat([draws(CONFIG, 0, s, (6, 1, 4, 6)).t_B for s in range(first, last)])
        counts = torch.histc(t, 10, 0, 1).tolist()
        row = whole.logs[last]
        by_t = {i: row.get(f"loss_by_t/{i}") for i in range(10)}
        assert {i for i in by_t if by_t[i] is not None} == {i for i in by_t if counts[i]}
        mean = sum(counts[i] * loss for i, loss in by_t.items() if loss is not None) / len(t)
        assert row["train/loss"] == pytest.approx(mean, rel=1e-5)
        assert row["train/lr"] == learning_rate(CONFIG, CONFIG.lr, last - 1)
        assert row["train/grad_norm"] > 0


@pytest.mark.parametrize("objective", ["velocity", "velocity:cosine=0.5", "x", "noise:loss=x"])
def test_the_velocity_s_error_is_logged_where_it_is_not_the_loss_itself(tmp_path, objective):
    config = replace(CONFIG, objective=objective, log_every=1)
    (row,) = Run(tmp_path, config).train(until=1).logs.values()
    images, _ = batch(0)
    draw, bound = draws(config, 0, 0, images.shape), OBJECTIVES.bind(objective)()
    x_t = flow.interpolate(draw.noise_BCHW, images, draw.t_B)
    zeros = torch.zeros_like(images)  # what a fresh network says
    errors = bound.velocity(zeros, x_t, draw.t_B) - flow.target(draw.noise_BCHW, images)
    losses = bound.losses(zeros, x_t, draw.noise_BCHW, images, draw.t_B)
    assert row["train/loss"] == pytest.approx(losses.mean().item(), rel=1e-5)
    assert row["train/velocity_loss"] == pytest.approx(errors.square().mean().item(), rel=1e-5)
    by_t = {key.rpartition("/")[2] for key in row if key.startswith("loss_by_t")}
    named = {key.rpartition("/")[2] for key in row if key.startswith("velocity_loss_by_t")}
    assert named == (set() if objective == "velocity" else by_t)


def test_tokens_are_moved_in_training(tmp_path):
    config = ModelConfig(dim=16, depth=1, num_heads=2, positions="index+jitter")
    dit = DiT(config, "rope2d", channels=1, image_size=(4, 6), num_classes=2, null_class=True)
    dit.init_weights(0)
    given: list[Tensor] = []
    dit.register_forward_pre_hook(
        lambda module, args, kwargs: given.append(kwargs["moves_BN"]), with_kwargs=True
    )
    Run(tmp_path, dit=dit).train(until=3)
    for step, moves_BN in enumerate(given):
        assert torch.equal(moves_BN, draws(CONFIG, 0, step, (6, 1, 4, 6), moves=2).moves_BN)
    assert len(given) == 3


def test_bf16_stays_near_fp32_and_keeps_weights_in_float32(tmp_path, whole):
    bf16 = Run(tmp_path / "bf16", replace(CONFIG, precision="bf16")).train()
    assert all(tensor.dtype == torch.float32 for tensor in bf16.training.tensors().values())
    for step, row in whole.logs.items():
        assert bf16.logs[step]["train/loss"] == pytest.approx(row["train/loss"], rel=0.02)
        assert bf16.logs[step]["train/loss"] != row["train/loss"]


@pytest.mark.slow
def test_compiled_training_gives_the_same_losses(tmp_path):
    eager = Run(tmp_path / "eager").train()
    fast = Run(tmp_path / "compiled", replace(CONFIG, compile="on")).train()
    for step, row in eager.logs.items():
        assert fast.logs[step]["train/loss"] == pytest.approx(row["train/loss"], rel=1e-4)
    for name, tensor in copies(eager.training).items():
        torch.testing.assert_close(copies(fast.training)[name], tensor, rtol=1e-3, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.filterwarnings(
    "default"
)  # torch's compiler warns of itself, and of TF32, which is off on purpose
@pytest.mark.parametrize("compile_mode", ["off", "on", "graphs"])
def test_cuda_learns_as_the_cpu_does_and_never_waits(whole, compile_mode):
    config = replace(CONFIG, compile=compile_mode)
    training = Training.fresh(model().cuda(), config)
    images = {step: tuple(x.cuda() for x in batch(step)) for step in range(CONFIG.steps)}
    try:
        for step in train(training, images.__getitem__, seed=0, until=CONFIG.steps):
            # the first steps compile; curves are read after the last one alone
            torch.cuda.set_sync_debug_mode("error" if 4 <= step.number < CONFIG.steps - 1 else "default")
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected = sum(whole.logs[s]["train/loss"] * n for s, n in ((5, 5), (10, 5), (12, 2))) / 12
    assert training.curves()["train/loss"] == pytest.approx(expected, rel=1e-2)
