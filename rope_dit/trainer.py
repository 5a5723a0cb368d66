"""The training loop. It knows no tracker and no data set: it is handed `batch`, `log`, `after` and `stop`."""

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import cos, pi
from typing import Any

import torch
from torch import Tensor, nn

from rope_dit import flow
from rope_dit.checkpoint import Checkpoints, restore
from rope_dit.config import TrainConfig
from rope_dit.ema import EMA
from rope_dit.errors import Stopped
from rope_dit.model import DiT
from rope_dit.ranks import ONE, Ranks

Batch = Callable[[int], tuple[Tensor, Tensor]]
Log = Callable[[int, Mapping[str, float]], None]
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
class State:
    """All that training changes. `tensors` is what a checkpoint holds: names to live tensors."""

    model: DiT
    optimizer: torch.optim.AdamW
    ema: EMA
    meter: Tensor
    """sums of loss and counts in ten bins of t since the last log, [2, 10]"""
    step: int = 0

    @classmethod
    def fresh(cls, model: DiT, config: TrainConfig) -> "State":
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
        return cls(model, optimizer, EMA(weights, [config.ema_decay]), meter)

    def resume(self, checkpoints: Checkpoints, ranks: Ranks = ONE) -> None:
        """Go back to the newest whole checkpoint, where there is one. Raises what `Checkpoints.load` does."""

        def load() -> int:
            found = checkpoints.load()
            if found is None:
                return self.step
            restore(found[1], self.tensors())
            return found[0]

        self.step = ranks.first(load)
        ranks.spread(self.tensors().values())

    def tensors(self) -> dict[str, Tensor]:
        """Everything but the step, by name."""
        found = {"meter": self.meter}
        for i, (name, p) in enumerate(self.model.named_parameters()):
            found[f"model.{name}"] = p
            found |= {f"adamw.{key}.{name}": value for key, value in self.optimizer.state[p].items()}
            found |= {f"ema.{key}.{name}": weights[i] for key, weights in self.ema.profiles.items()}
        return found


def train(
    state: State,
    batch: Batch,
    config: TrainConfig,
    *,
    seed: int,
    until: int,
    checkpoints: Checkpoints,
    log: Log,
    after: Callable[[State], None],
    stop: Callable[[], bool],
    ranks: Ranks = ONE,
) -> None:
    """Train from `state` to step `until`.

    Args:
        state: model, optimizer and averages on their device; changed in place.
        batch: step -> images [B, C, H, W] in [-1, 1] and labels [B], a pure function.
        config: settings with precision, compile and threads resolved.
        seed: training seed of all draws.
        until: step to end at, config.steps or an earlier one from which a later call goes on.
        checkpoints: where to save to.
        log: called with (step, values) every `config.log_every` steps; after a resume with the same again.
        after: called with the state at the start and after every step; must do nothing the second time.
        stop: asked once a step; a True saves a checkpoint and raises Stopped.
        ranks: processes that divide each batch and must all call this; rank 0 saves. `batch` gives the global
            batch on all of them, `log` and `after` are called on all of them.

    Raises:
        Diverged: a loss or gradient was not finite. On CUDA noticed at the next log or checkpoint, with all
            steps from the bad one on masked out of weights, optimizer and averages: the loop never waits.
        Stopped: `stop` said so, or `after` raised it.
    """
    losses, guard = ranks.share(compiled(config), state.model), Guard(state.meter.device)
    if ranks.size > 1 and state.step < until:
        # DDP packs gradients anew after the first backward pass, and may then add in another order: without
        # a pass whose gradients are forgotten a resumed run would have other bits than an uninterrupted one
        _backward(state, *batch(state.step), config, seed, losses, ranks)
        state.optimizer.zero_grad(set_to_none=True)
    saved_step = logged_step = state.step
    try:
        after(state)
        saved_at = logged_at = time.monotonic()
        while state.step < until:
            if ranks.any_at(state.step, stop()):
                raise Stopped
            lr = learning_rate(config, state.step)
            norm = _step(state, *batch(state.step), config, seed, losses, guard, ranks)
            due = state.step == config.steps or state.step % config.log_every == 0
            late = time.monotonic() - saved_at >= config.save_seconds
            save = state.step == until or ranks.any_at(state.step, late)
            if due or save or state.meter.device.type in CHECKED_EACH_STEP:
                guard.check(config)
            if due:
                seconds = max(time.monotonic() - logged_at, 1e-9)
                rate = (state.step - logged_step) * config.batch / seconds
                values = {"train/lr": lr, "train/grad_norm": norm.item(), "train/images_per_second": rate}
                log(state.step, {**values, **_read_meter(state.meter)})
                logged_step, logged_at = state.step, time.monotonic()
            paused_at = time.monotonic()
            if save:
                _save(state, checkpoints, ranks)
                saved_step, saved_at = state.step, time.monotonic()
            after(state)
            logged_at += time.monotonic() - paused_at  # neither saving nor scoring is training
    except Stopped:
        guard.check(config)
        if state.step != saved_step:
            _save(state, checkpoints, ranks)
        raise


def _step(
    state: State,
    images: Tensor,
    labels: Tensor,
    config: TrainConfig,
    seed: int,
    losses: Callable[..., Tensor],
    guard: Guard,
    ranks: Ranks,
) -> Tensor:
    """Make one step of weights, averages and meter; returns the gradient's norm, on the device."""
    weights = list(state.model.parameters())
    loss, loss_B, t_B = _backward(state, images, labels, config, seed, losses, ranks)
    norm = nn.utils.clip_grad_norm_(weights, config.clip)
    skip = guard.skip(state.step, ranks.mean(loss), norm)
    state.meter += ranks.sum(flow.bin_sums(loss_B, t_B)).masked_fill(skip > 0, 0.0)
    adamw_step(state.optimizer, learning_rate(config, state.step), skip)
    state.ema.update(weights, state.step, 1 - skip)
    state.step += 1
    return norm


def _backward(
    state: State,
    images: Tensor,
    labels: Tensor,
    config: TrainConfig,
    seed: int,
    losses: Callable[..., Tensor],
    ranks: Ranks,
) -> tuple[Tensor, Tensor, Tensor]:
    """Set the gradients; returns this rank's mean loss, its losses [B] and its times [B]."""
    draw = flow.draws(config, seed, state.step, images.shape, images.device).map(ranks.part)
    with autocast(config, images.device):
        loss_B = losses(ranks.part(images), ranks.part(labels), draw, state.model.null_label)
    loss = loss_B.mean()
    loss.backward()
    return loss.detach(), loss_B.detach(), draw.t_B


def _save(state: State, checkpoints: Checkpoints, ranks: Ranks) -> None:
    if ranks.leads:
        checkpoints.save(state.step, state.tensors())


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


def _read_meter(meter: Tensor) -> dict[str, float]:
    """Mean loss since the last log, overall and by tenth of t; the meter starts again."""
    sums, counts = meter.tolist()
    meter.zero_()
    bins = {f"loss_by_t/{i}": s / n for i, (s, n) in enumerate(zip(sums, counts, strict=True)) if n}
    return {"train/loss": sum(sums) / sum(counts), **bins}
