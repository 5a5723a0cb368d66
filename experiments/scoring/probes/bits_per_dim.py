"""How many bits a number of a held-out picture takes under the flow."""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from experiments.config.registries import PROBES
from experiments.scoring.probes.base import Batch, Subject
from rope_dit.errors import check

MOST = 256
Velocity = Callable[[Tensor, float], Tensor]
"""of x [B, C, H, W] at one time"""


@PROBES.register("bits_per_dim")
class BitsPerDim:
    """Bits a number of held-out pictures under the flow's density: -log2 P(picture) / (C H W).

    A picture gets uniform noise as wide as the step between two of the data's levels (256, or 17 of digits:
    the fewest evenly spaced ones that have all held-out pixels). Its density p follows from the flow, solved
    back from t = 1 to 0 in `steps` midpoint steps, by log p(x1) = log N(x0; 0, 1) - int div v dt; the
    divergence is the mean of e.J e over `draws` fixed vectors of signs a picture (Hutchinson). The step's
    logarithm is added for each number, so data sets of fewer levels take fewer bits. It is the mean over up
    to 256 pictures with their true classes, and above what the flow would say with all noise integrated out.
    The network never saw such noise, and is the less at home the wider it is. Likelihood is not quality: most
    bits are about what no eye sees. Arms compare at equal steps; autocast, as in training, adds to the error.

    Source: the density, Chen et al., arXiv:1806.07366; its estimate, Grathwohl et al., arXiv:1810.01367; the
    noise, Theis et al., arXiv:1511.01844.

    >>> levels(torch.tensor([0, 16, 143, 255])), levels(torch.arange(256))
    (17, 256)
    """

    values: ClassVar[dict[str, str]] = {"bits_per_dim": "lower"}
    default_on = False
    cost = "100 evaluations and 200 gradients for each of up to 256 held-out pictures"

    def __init__(self, *, steps: int = 50, draws: int = 4):
        check(steps > 0, "bits_per_dim: option 'steps'", steps, "1 or more")
        check(draws > 0, "bits_per_dim: option 'draws'", draws, "1 or more")
        self.steps, self.draws = steps, draws

    def measure(self, subject: Subject) -> dict[str, float]:
        """`bits_per_dim`."""
        step = 2 / (levels(subject.pixels) - 1)
        with torch.inference_mode(False):
            found = [self._densities(subject, batch, step) for batch in subject.batches(MOST, "bits_per_dim")]
        nats = -torch.cat(found).mean().item() / subject.pixels[0].numel() - math.log(step)
        return {"bits_per_dim": nats / math.log(2)}

    def _densities(self, subject: Subject, batch: Batch, step: float) -> Tensor:
        within_BCHW = batch.numbers(0).uniform(batch.x1_BCHW[0].numel()).view_as(batch.x1_BCHW) - 0.5
        x1_BCHW = ((batch.x1_BCHW + 1) / step).round() * step - 1 + step * within_BCHW

        def velocity(x_BCHW: Tensor, t: float) -> Tensor:
            return subject.velocity(x_BCHW, x_BCHW.new_full((len(x_BCHW),), t), batch.labels_B)

        signs = torch.stack([torch.where(batch.noise(1 + draw) < 0, -1.0, 1.0) for draw in range(self.draws)])
        return log_densities(velocity, x1_BCHW, signs, self.steps).cpu()


def levels(pixels: Tensor) -> int:
    """Fewest evenly spaced levels from 0 to 255, each rounded, among which all pixels are."""
    seen = set(pixels.unique().tolist())
    return next(n for n in range(2, 257) if seen <= {round(k * 255 / (n - 1)) for k in range(n)})


def log_densities(velocity: Velocity, x1_BCHW: Tensor, signs_SBCHW: Tensor, steps: int) -> Tensor:
    """log p(x1) of each picture, [B] float64, by midpoint steps from t = 1 to 0."""
    x_BCHW, total_B, dt = (
        x1_BCHW,
        torch.zeros(len(x1_BCHW), dtype=torch.float64, device=x1_BCHW.device),
        1 / steps,
    )
    for k in range(steps):
        t = 1 - k * dt
        with torch.no_grad():
            middle_BCHW = x_BCHW - dt / 2 * velocity(x_BCHW, t)
        v_BCHW, divergence_B = with_divergence(velocity, middle_BCHW, t - dt / 2, signs_SBCHW)
        x_BCHW, total_B = x_BCHW - dt * v_BCHW, total_B + dt * divergence_B
    normal_B = -(x_BCHW.double().square() + math.log(2 * math.pi)).flatten(1).sum(1) / 2
    return normal_B - total_B


def with_divergence(
    velocity: Velocity, x_BCHW: Tensor, t: float, signs_SBCHW: Tensor
) -> tuple[Tensor, Tensor]:
    """The velocity, and its divergence [B] float64 as the mean of e.J e over the vectors e."""
    with torch.enable_grad():
        x_BCHW = x_BCHW.detach().requires_grad_()
        v_BCHW = velocity(x_BCHW, t)
        products = [
            (torch.autograd.grad(v_BCHW, x_BCHW, e, retain_graph=True)[0] * e).double().flatten(1).sum(1)
            for e in signs_SBCHW
        ]
    return v_BCHW.detach(), torch.stack(products).mean(0)
