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

Batch = Callable[[int], tuple[Tensor, Tensor]]
Log = Callable[[int, Mapping[str, float]], None]


class Diverged(FloatingPointError):
    """A loss or gradient that is not finite; the weights are those before the step."""

    def __init__(self, step: int, loss: float, norm: float, lr: float):
        self.step = step
        super().__init__(f"diverged at step {step}: loss {loss:g}, gradient norm {norm:g}. "
                         f"Lower train.lr (now {lr:g}) or train.clip, or lengthen train.warmup-steps.")  # fmt: skip


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
        fused = device.type in ("cuda", "cpu", "mps")
        optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, config.beta2), fused=fused)
        for (
            p
        ) in weights:  # made here and not at the first step, so that a checkpoint always has the same layout
            zeros = {key: torch.zeros_like(p) for key in ("exp_avg", "exp_avg_sq")}
            optimizer.state[p] = {"step": torch.zeros((), device=device), **zeros}
        return cls(
            model, optimizer, EMA(weights, [config.ema_decay]), torch.zeros(2, flow.NUM_BINS, device=device)
        )

    def resume(self, checkpoints: Checkpoints) -> None:
        """Go back to the newest whole checkpoint, where there is one. Raises what `Checkpoints.load` does."""
        if found := checkpoints.load():
            restore(found[1], self.tensors())
            self.step = found[0]

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
    checkpoints: Checkpoints,
    log: Log,
    after: Callable[[State], None],
    stop: Callable[[], bool],
) -> None:
    """Train from `state` to `config.steps`.

    Args:
        state: model, optimizer and averages on their device; changed in place.
        batch: step -> images [B, C, H, W] in [-1, 1] and labels [B], a pure function.
        config: settings with precision, compile and threads resolved.
        seed: training seed of all draws.
        checkpoints: where to save to.
        log: called with (step, values) every `config.log_every` steps; must be safe to call again after a resume.
        after: called with the state at the start and after every step; must do nothing the second time.
        stop: asked once a step; a True saves a checkpoint and raises Stopped.

    Raises:
        Diverged: a loss or gradient was not finite. On CUDA noticed at the next logging step, with all later
            steps masked out of weights, optimizer and averages, so that the loop never waits for the device.
        Stopped: `stop` said so, or `after` raised it.
    """
    saved_step, saved_at, logged_at, logged_step = state.step, time.monotonic(), time.monotonic(), state.step
    weights = list(state.model.parameters())
    device = weights[0].device
    losses = compiled(config)
    first_bad = torch.full((), -1, device=device)
    try:
        after(state)
        while state.step < config.steps:
            if stop():
                raise Stopped
            images, labels = batch(state.step)
            draw = flow.draws(config, seed, state.step, images.shape, device)
            with autocast(config, device):
                loss_B = losses(state.model, images, labels, draw, state.model.null_label)
            loss = loss_B.mean()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(weights, config.clip)

            bad = ~(torch.isfinite(loss.detach()) & torch.isfinite(norm))
            first_bad = torch.where(bad & (first_bad < 0), state.step, first_bad)
            skip = (first_bad >= 0).float()  # once bad, nothing changes any more
            state.meter += torch.where(skip > 0, 0.0, flow.bin_sums(loss_B, draw.t_B))
            lr = learning_rate(config, state.step)
            _adamw(state.optimizer, lr, skip)
            state.ema.update(weights, state.step, 1 - skip)
            state.step += 1

            due = state.step % config.log_every == 0 or state.step == config.steps
            save = time.monotonic() - saved_at >= config.save_seconds
            if (device.type == "cpu" or due or save) and int(first_bad) >= 0:
                raise Diverged(int(first_bad), loss.item(), norm.item(), lr)
            if due:
                rate = (state.step - logged_step) * config.batch / (time.monotonic() - logged_at)
                log(state.step, {"train/lr": lr, "train/grad_norm": norm.item(), "train/images_per_second": rate,
                                 **_read_meter(state.meter)})  # fmt: skip
                logged_at, logged_step = time.monotonic(), state.step
            if save or state.step == config.steps:
                checkpoints.save(state.step, state.tensors())
                saved_step, saved_at = state.step, time.monotonic()
            after(state)
    except Stopped:
        if state.step != saved_step and int(first_bad) < 0:
            checkpoints.save(state.step, state.tensors())
        raise


def learning_rate(config: TrainConfig, step: int) -> float:
    """Learning rate of `step` (from 0): a linear warm-up, then constant or half a cosine down to 0."""
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.lr
    return (
        config.lr
        * 0.5
        * (1 + cos(pi * (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)))
    )


def autocast(config: TrainConfig, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """bf16 autocast where the (resolved) precision says so."""
    return (
        torch.autocast(device.type, torch.bfloat16)
        if config.precision == "bf16"
        else contextlib.nullcontext()
    )


def compiled(config: TrainConfig) -> Callable[..., Tensor]:
    """The loss, compiled where the (resolved) config says so; there is no silent way back to eager."""
    if config.compile == "off":
        return flow.loss
    return torch.compile(flow.loss, mode="reduce-overhead" if config.compile == "graphs" else "default")


def _adamw(optimizer: torch.optim.AdamW, lr: float, skip: Tensor) -> None:
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
