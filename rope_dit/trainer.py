"""The training loop, an iterator of steps. It knows no tracker, no checkpoint and no data set."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import cos, pi
from typing import Any

import torch
from torch import Tensor, nn

from rope_dit import flow
from rope_dit.checkpoint import Checkpoints, restore
from rope_dit.config import TrainConfig
from rope_dit.ema import EMA
from rope_dit.model import DiT
from rope_dit.ranks import ONE, Ranks

Batch = Callable[[int], tuple[Tensor, Tensor]]
CHECKED_EACH_STEP = frozenset({"cpu"})
"""devices on which a look at the loss costs nothing, so that a bad step is reported at once"""


class Diverged(FloatingPointError):
    """A loss or gradient that is not finite; the weights are those before the step."""

    def __init__(self, step: int, loss: float, norm: float, lr: float):
        self.step = step
        super().__init__(
            f"diverged at step {step}: loss {loss:g}, gradient norm {norm:g}. "
            f"Lower train.lr (now {lr:g}) or train.clip, or lengthen train.warmup-steps."
        )


class Guard:
    """Remembers the first step whose loss or gradient was not finite; only `check` makes the host wait."""

    def __init__(self, device: torch.device):
        self._step = torch.full((), -1, device=device)
        self._values = torch.zeros(2, device=device)

    def skip(self, step: int, loss: Tensor, norm: Tensor) -> Tensor:
        """Return 1.0 from the first bad step on, else 0.0, on the device: whether all must stay as it is."""
        values = torch.stack((loss, norm)).float()
        first = (self._step < 0) & ~torch.isfinite(values).all()
        self._step = torch.where(first, torch.full_like(self._step, step), self._step)
        self._values = torch.where(first, values, self._values)
        return (self._step >= 0).float()

    def check(self, config: TrainConfig) -> None:
        """Raise Diverged where a step was bad."""
        if (step := int(self._step)) >= 0:
            loss, norm = self._values.tolist()
            raise Diverged(step, loss, norm, learning_rate(config, step))


@dataclass
class Training:
    """All that training changes, and its settings with precision, compile and threads resolved.

    Nothing leaves it unchecked: `save` and `curves` raise Diverged where a step was bad.
    """

    config: TrainConfig
    model: DiT
    optimizer: torch.optim.AdamW
    ema: EMA
    meter: Tensor
    """sums of loss and counts in ten bins of t since the last `curves`, [2, 10]"""
    guard: Guard
    step: int = 0
    """steps made"""

    @classmethod
    def fresh(cls, model: DiT, config: TrainConfig) -> "Training":
        """Optimizer and averages for a model whose weights are set."""
        weights = list(model.parameters())
        matrices, vectors = [p for p in weights if p.dim() > 1], [p for p in weights if p.dim() <= 1]
        groups = [
            {"params": matrices, "weight_decay": config.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        device = weights[0].device
        optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, config.beta2), fused=True)
        for p in weights:  # made here, not at the first step, so that a checkpoint always has the same layout
            zeros = {key: torch.zeros_like(p) for key in ("exp_avg", "exp_avg_sq")}
            optimizer.state[p] = {"step": torch.zeros((), device=device), **zeros}
        meter = torch.zeros(2, flow.NUM_BINS, device=device)
        return cls(config, model, optimizer, EMA(weights, [config.ema_decay]), meter, Guard(device))

    def resume(self, checkpoints: Checkpoints, ranks: Ranks = ONE) -> None:
        """Go back to the newest whole checkpoint, where there is one. Raises what `Checkpoints.load` does."""

        def load() -> int | None:
            found = checkpoints.load()
            if found is not None:
                restore(found[1], self.tensors())
            return found and found[0]

        step = ranks.first(load)
        if step is not None:  # what was bad is undone, here and in `guard`
            self.step, self.guard = step, Guard(self.meter.device)
        ranks.spread(self.tensors().values())

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint holds: everything but the step, by name."""
        found = {"meter": self.meter}
        for i, (name, p) in enumerate(self.model.named_parameters()):
            found[f"model.{name}"] = p
            found |= {f"adamw.{key}.{name}": value for key, value in self.optimizer.state[p].items()}
            found |= {f"ema.{key}.{name}": weights[i] for key, weights in self.ema.profiles.items()}
        return found

    def save(self, checkpoints: Checkpoints) -> None:
        """Write a checkpoint. Raises Diverged, and OSError where it cannot be written."""
        self.guard.check(self.config)
        checkpoints.save(self.step, self.tensors())

    def curves(self) -> dict[str, float]:
        """Mean loss since the last call, overall and by tenth of t. Raises Diverged."""
        self.guard.check(self.config)
        sums, counts = self.meter.tolist()
        self.meter.zero_()
        bins = {f"loss_by_t/{i}": s / n for i, (s, n) in enumerate(zip(sums, counts, strict=True)) if n}
        return {"train/loss": sum(sums) / sum(counts), **bins}


@dataclass(frozen=True)
class Step:
    """A step that was made.

    Args:
        number: steps made so far, this one included.
        lr: its learning rate.
        norm: its gradient's norm before clipping, on the device.
    """

    number: int
    lr: float
    norm: Tensor


def train(training: Training, batch: Batch, *, seed: int, until: int, ranks: Ranks = ONE) -> Iterator[Step]:
    """Make steps up to `until`, and yield after each, when the training may be looked at, saved and left.

    Args:
        training: model, optimizer and averages on their device; changed in place.
        batch: step -> images [B, C, H, W] in [-1, 1] and labels [B], a pure function.
        seed: training seed of all draws.
        until: step to end at, config.steps or an earlier one from which a later call goes on.
        ranks: processes that divide each batch and must all do this; `batch` gives the global batch on all.

    Raises:
        Diverged: a loss or gradient was not finite. On CUDA noticed at the next `save` or `curves`, with all
            steps from the bad one on masked out of weights, optimizer and averages: the loop never waits.
    """
    config, weights = training.config, list(training.model.parameters())
    losses = ranks.share(compiled(config), training.model)
    if ranks.size > 1 and training.step < until:
        # DDP packs gradients anew after the first backward pass, and may then add in another order: without
        # a pass whose gradients are forgotten a resumed run would have other bits than an uninterrupted one
        _backward(training, *batch(training.step), seed, losses, ranks)
        training.optimizer.zero_grad(set_to_none=True)
    while training.step < until:
        lr = learning_rate(config, training.step)
        loss, loss_B, t_B = _backward(training, *batch(training.step), seed, losses, ranks)
        norm = nn.utils.clip_grad_norm_(weights, config.clip)
        skip = training.guard.skip(training.step, ranks.mean(loss), norm)
        training.meter += ranks.sum(flow.bin_sums(loss_B, t_B)).masked_fill(skip > 0, 0.0)
        adamw_step(training.optimizer, lr, skip)
        training.ema.update(weights, training.step, 1 - skip)
        training.step += 1
        if training.meter.device.type in CHECKED_EACH_STEP:
            training.guard.check(config)
        yield Step(training.step, lr, norm)


def _backward(
    training: Training, images: Tensor, labels: Tensor, seed: int, losses: Callable[..., Tensor], ranks: Ranks
) -> tuple[Tensor, Tensor, Tensor]:
    """Set the gradients; returns this rank's mean loss, its losses [B] and its times [B]."""
    config, null_label = training.config, training.model.null_label
    draw = flow.draws(config, seed, training.step, images.shape, images.device).map(ranks.part)
    with autocast(config, images.device):
        loss_B = losses(ranks.part(images), ranks.part(labels), draw, null_label)
    loss = loss_B.mean()
    loss.backward()
    return loss.detach(), loss_B.detach(), draw.t_B


def learning_rate(config: TrainConfig, step: int) -> float:
    """Learning rate of `step` (from 0): a linear warm-up, then constant or half a cosine down to 0."""
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.lr
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.lr * 0.5 * (1 + cos(pi * done))


def autocast(config: TrainConfig, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """bf16 autocast where the (resolved) precision says so."""
    if config.precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def compiled(config: TrainConfig) -> Callable[..., Tensor]:
    """The loss, compiled where the (resolved) config says so; there is no silent way back to eager."""
    if config.compile == "off":
        return flow.loss
    return torch.compile(flow.loss, mode="reduce-overhead" if config.compile == "graphs" else "default")


def adamw_step(optimizer: torch.optim.AdamW, lr: float, skip: Tensor) -> None:
    """One step of fused AdamW, masked out on the device where `skip` is 1 (the protocol GradScaler uses)."""
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.grad_scale, optimizer.found_inf = None, skip  # type: ignore[attr-defined]
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
