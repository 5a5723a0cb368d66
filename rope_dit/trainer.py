"""The training loop, an iterator of steps. It knows no tracker, no checkpoint and no data set."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rope_dit import flow
from rope_dit.averages.ema import EMA
from rope_dit.averages.names import RAW
from rope_dit.checkpoint import Checkpoints, restore
from rope_dit.config import TrainConfig
from rope_dit.draws import Batch, Draws, Inputs
from rope_dit.errors import Diverged, UserError
from rope_dit.model import DiT
from rope_dit.objectives.base import Objective
from rope_dit.optimizers.base import Optimizer
from rope_dit.ranks import ONE, Ranks
from rope_dit.registry import OBJECTIVES, OPTIMIZERS, SCHEDULES

LOSSES = ("loss", "velocity_loss")
"""what curves call the trained loss, and the squared error of the velocity that it implies"""
CHECKED_EACH_STEP = frozenset({"cpu"})
"""devices on which a look at the loss costs nothing, so that a bad step is reported at once"""


class Guard:
    """Remembers the first step whose loss or gradient was not finite; only `check` makes the host wait."""

    def __init__(self, device: torch.device):
        self._bad = torch.zeros((), dtype=torch.bool, device=device)
        self._count = torch.zeros((), dtype=torch.int64, device=device)
        self._values = torch.zeros(2, device=device)
        self._last = -1

    def bad(self, step: int, loss: Tensor, norm: Tensor) -> Tensor:
        """Whether all must stay as it is, on the device: true from the first bad step on."""
        values = torch.stack((loss, norm)).float()
        bad = (values - values).any()  # 0 for numbers; for nan and inf nan, which counts as true
        self._values = torch.where(bad > self._bad, values, self._values)
        self._bad = self._bad | bad
        self._count += self._bad
        self._last = step
        return self._bad

    def check(self, config: TrainConfig) -> None:
        """Raise Diverged where a step was bad; the weights are those before it."""
        if count := int(self._count):
            (loss, norm), step = self._values.tolist(), self._last + 1 - count
            lr = learning_rate(config, config.lr, step)
            raise Diverged(
                f"diverged at step {step}: loss {loss:g}, gradient norm {norm:g}. "
                f"Lower train.lr (now {lr:g}) or train.clip, or lengthen train.warmup-steps.",
                step,
            )


@dataclass
class Training:
    """All that training changes, and its settings with precision, compile and threads resolved.

    Nothing leaves it unchecked: `save` and `curves` raise Diverged where a step was bad.
    """

    config: TrainConfig
    model: DiT
    objective: Objective
    optimizer: Optimizer
    ema: EMA
    meter: Tensor
    """sums of the loss, of the velocity's where that is another, and counts, in ten bins of t since the last
    `curves`, [2 or 3, 10]"""
    guard: Guard
    step: int = 0
    """steps made"""

    @classmethod
    def fresh(cls, model: DiT, config: TrainConfig) -> "Training":
        """Optimizer and averages for a model whose weights are set."""
        weights = dict(model.named_parameters())
        device = next(iter(weights.values())).device
        objective = OBJECTIVES.bind(config.objective)()
        meter = torch.zeros(3 - objective.trains_velocity, flow.NUM_BINS, device=device)
        optimizer = OPTIMIZERS.bind(config.optimizer)(weights, config)
        averages = EMA(list(weights.values()), config.averages)
        return cls(config, model, objective, optimizer, averages, meter, Guard(device))

    def resume(self, checkpoints: Checkpoints, ranks: Ranks = ONE) -> None:
        """Go back to the newest whole checkpoint, where there is one. Raises what `Checkpoints.load` does."""

        def load() -> int | None:
            found = checkpoints.load()
            if found is not None:
                self._check_averages(found[1])
                restore(found[1], self.tensors())
            return found and found[0]

        step = ranks.first(load)
        if step is not None:  # what was bad is undone, here and in `guard`
            self.step, self.guard = step, Guard(self.meter.device)
        ranks.spread(self.tensors().values())

    def _check_averages(self, kept: Mapping[str, Tensor]) -> None:
        """Raise UserError where an average is asked for that a checkpoint does not hold."""
        first, _ = next(self.model.named_parameters())
        ends = f".{first}"
        of_first = [key for key in kept if key.startswith("ema.") and key.endswith(ends)]
        names = [key.removeprefix("ema.").removesuffix(ends) for key in of_first]
        if missing := [name for name in self.ema.profiles if name not in names]:
            raise UserError(
                f"train.averages: the run did not keep '{missing[0]}'; it has {', '.join(names)}. "
                "Leave it out, or train anew with another --out."
            )

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint holds: everything but the step, by name."""
        found = {"meter": self.meter, **self.optimizer.tensors()}
        for i, (name, p) in enumerate(self.model.named_parameters()):
            found[f"model.{name}"] = p
            found |= {f"ema.{key}.{name}": weights[i] for key, weights in self.ema.profiles.items()}
        return found

    def profiles(self) -> dict[str, list[Tensor]]:
        """Weights by which pictures can be made: each average by its name, and `raw`."""
        return self.ema.profiles | {RAW: [p.detach() for p in self.model.parameters()]}

    def save(self, checkpoints: Checkpoints) -> None:
        """Write a checkpoint. Raises Diverged, and OSError where it cannot be written."""
        self.guard.check(self.config)
        checkpoints.save(self.step, self.tensors())

    @property
    def logged(self) -> int:
        """Step at which `curves` was called last, as its meter tells."""
        return self.step - round(self.meter[-1].sum().item() / self.config.batch)

    def curves(self) -> dict[str, float]:
        """Means since the last call: of the loss, overall and by tenth of t, and so of the velocity's.

        Nothing where no step was made since. Raises Diverged.
        """
        self.guard.check(self.config)
        *sums, counts = self.meter.tolist()
        self.meter.zero_()
        if not (steps := sum(counts)):
            return {}
        both = sums if len(sums) == 2 else [*sums, *sums]  # of velocity objectives one row is both
        found = {f"train/{name}": sum(row) / steps for name, row in zip(LOSSES, both, strict=True)}
        for name, row in zip(LOSSES, sums, strict=False):
            found |= {
                f"{name}_by_t/{i}": s / n for i, (s, n) in enumerate(zip(row, counts, strict=True)) if n
            }
        return found


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
    inputs = Inputs(config, batch, seed, training.model.num_moves)
    if ranks.size > 1 and training.step < until:
        # DDP packs gradients anew after the first backward pass, and may then add in another order: without
        # a pass whose gradients are forgotten a resumed run would have other bits than an uninterrupted one
        backward(training, inputs, losses, ranks)
        training.model.zero_grad(set_to_none=True)
    while training.step < until:
        loss, losses_RB, t_B = backward(training, inputs, losses, ranks)
        norm = nn.utils.clip_grad_norm_(weights, config.clip)
        bad = training.guard.bad(training.step, ranks.mean(loss), norm)
        training.meter += ranks.sum(flow.bin_sums(losses_RB, t_B)).masked_fill(bad, 0.0)
        skip = bad.float()
        training.optimizer.step(partial(learning_rate, config, step=training.step), skip)
        training.model.zero_grad(set_to_none=True)
        training.ema.update(weights, training.step, 1 - skip)
        training.step += 1
        if training.meter.device.type in CHECKED_EACH_STEP:
            training.guard.check(config)
        yield Step(training.step, learning_rate(config, config.lr, training.step - 1), norm)


def backward(
    training: Training,
    inputs: Callable[[int], tuple[Tensor, Tensor, Draws]],
    losses: Callable[..., Tensor],
    ranks: Ranks,
) -> tuple[Tensor, Tensor, Tensor]:
    """Set the gradients of the next step, of this rank's share.

    Args:
        training: whose model; nothing else of it changes.
        inputs: gives the global batch, see `Inputs`.
        losses: `flow.loss` with the model as its first argument.
        ranks: that divide the batch.

    Returns:
        Mean loss, losses of each picture [1 or 2, B] and their times [B].
    """
    images, labels, draw = inputs(training.step)
    draw = draw.map(ranks.part)
    with autocast(training.config, images.device):
        losses_RB = losses(
            training.objective, ranks.part(images), ranks.part(labels), draw, training.model.null_label
        )
    loss = losses_RB[0].mean()
    loss.backward()
    return loss.detach(), losses_RB.detach(), draw.t_B


def learning_rate(config: TrainConfig, highest: float, step: int) -> float:
    """Learning rate of `step` (from 0): a linear warm-up to the highest, then as the schedule says."""
    if step < config.warmup_steps:
        return highest * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return highest * float(SCHEDULES.bind(config.schedule)(done))


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
