"""Noise prediction."""

from typing import Literal

from torch import Tensor

from rope_dit.objectives.base import Objective, check_clamp, per_picture
from rope_dit.registry import OBJECTIVES


@OBJECTIVES.register("noise")
class Noise(Objective):
    """The network predicts the noise x0, by default with the loss there (DDPM, arXiv:2006.11239, eq. 14).

    v = (x_t - x0) / t with the denominator held at `clamp` and above. At t = 0, x_t is the noise: whoever
    predicts it has said nothing about the picture, and a perfect network's velocity is 0 there. A sampler's
    first step is lost on it.

    Source: DDPM (arXiv:2006.11239, eq. 14).

    >>> import torch
    >>> made, x, noise = Noise(loss="velocity"), torch.tensor([[2.0]]), torch.tensor([[1.0]])
    >>> made.velocity(noise, x, torch.tensor([0.25])).item(), made.scale(torch.tensor(0.25)).item()  # 1 / t
    (4.0, 4.0)
    >>> made.velocity(noise, x, torch.tensor([0.0])).item()  # 1 / 0.05
    20.0
    """

    def __init__(
        self, *, loss: Literal["velocity", "x", "noise"] = "noise", clamp: float = 0.05, cosine: float = 0.0
    ):
        super().__init__(loss, cosine)
        self.clamp = check_clamp(clamp)

    def truth(self, x0_BCHW: Tensor, x1_BCHW: Tensor) -> Tensor:
        """Return x0."""
        return x0_BCHW

    def velocity(self, out_BCHW: Tensor, x_BCHW: Tensor, t_B: Tensor) -> Tensor:
        """(x_t - x0) / t."""
        return (x_BCHW - out_BCHW) / per_picture(t_B, x_BCHW).clamp(min=self.clamp)

    def scale(self, t: Tensor) -> Tensor | float:
        """1 for noise, 1 / t for the velocity, (1 - t) / t for x."""
        if self.loss == "noise":
            return 1.0
        return ((1 - t) if self.loss == "x" else 1.0) / t.clamp(min=self.clamp)
