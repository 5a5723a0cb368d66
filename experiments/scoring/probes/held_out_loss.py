"""Loss of the velocity on pictures that the network never saw."""

from typing import ClassVar

import torch
from torch import Tensor

from experiments.config.registries import PROBES
from experiments.scoring.probes.base import Batch, Subject

MOST, TENTHS = 1000, 10


@PROBES.register("held_out_loss")
class HeldOutLoss:
    """Squared error of the velocity on up to 1,000 held-out pictures, over all times and in each tenth.

    The mean of |v(x_t, t, class) - (x1 - x0)|^2 per dimension, in the square of the pictures' units, which
    go from -1 to 1. Each picture has one time, uniform, in each tenth of [0, 1], and noise of its own there;
    `held_out_loss_t0` is about times below 0.1, near the noise, and `held_out_loss` the mean of the ten.
    Pictures, times and noise are equal for all arms and seeds, and each picture has its true class. It is the
    velocity's loss whatever a run was trained on, so that objectives compare.
    A loss is not quality: networks of equal loss may make pictures that differ much, since each time counts
    alike here and errors at some matter more to what is seen. It says what was learned of the velocity, and,
    beside the loss of training, how much of that is memory. It never reaches 0: the velocity of one picture
    cannot be known from x_t.

    Source: this project.
    """

    values: ClassVar[dict[str, str]] = {
        "held_out_loss": "lower",
        "held_out_loss_t0": "lower",
        "held_out_loss_t1": "lower",
        "held_out_loss_t2": "lower",
        "held_out_loss_t3": "lower",
        "held_out_loss_t4": "lower",
        "held_out_loss_t5": "lower",
        "held_out_loss_t6": "lower",
        "held_out_loss_t7": "lower",
        "held_out_loss_t8": "lower",
        "held_out_loss_t9": "lower",
    }
    ranges: ClassVar[dict[str, tuple[float, None]]] = {
        "held_out_loss": (0, None),
        "held_out_loss_t0": (0, None),
        "held_out_loss_t1": (0, None),
        "held_out_loss_t2": (0, None),
        "held_out_loss_t3": (0, None),
        "held_out_loss_t4": (0, None),
        "held_out_loss_t5": (0, None),
        "held_out_loss_t6": (0, None),
        "held_out_loss_t7": (0, None),
        "held_out_loss_t8": (0, None),
        "held_out_loss_t9": (0, None),
    }
    default_on = True
    cost = "10 evaluations for each of up to 1,000 held-out pictures"

    @torch.inference_mode()
    def measure(self, subject: Subject) -> dict[str, float]:
        """All eleven."""
        batches = subject.batches(MOST, "held_out_loss")
        losses_NK = torch.cat([_losses(subject, batch) for batch in batches]).double().cpu()
        tenths = losses_NK.mean(0)
        found = {f"held_out_loss_t{k}": loss for k, loss in enumerate(tenths.tolist())}
        return {"held_out_loss": tenths.mean().item(), **found}


def _losses(subject: Subject, batch: Batch) -> Tensor:
    """Loss of each picture in each tenth, [B, 10]."""
    losses = []
    for k, within_B in enumerate(batch.numbers(TENTHS).uniform(TENTHS).unbind(1)):
        t_B = (k + within_B) / TENTHS
        x_BCHW, v_BCHW = batch.noised(t_B, place=k)
        error_BCHW = subject.velocity(x_BCHW, t_B, batch.labels_B) - v_BCHW
        losses.append(error_BCHW.square().flatten(1).mean(1))
    return torch.stack(losses, dim=1)
