"""Velocity prediction."""

from typing import Literal

from torch import Tensor

from rope_dit.objectives.base import Objective
from rope_dit.registry import OBJECTIVES


@OBJECTIVES.register("velocity")
class Velocity(Objective):
    """The network predicts the velocity x1 - x0 (rectified flow, arXiv:2209.03003).

    In terms of it, x1 = x_t + (1 - t) v and x0 = x_t - t v, which no denominator makes large.

    Source: rectified flow (arXiv:2209.03003).

    >>> import torch
    >>> half, made = torch.tensor([0.5]), Velocity(loss="x")
    >>> noise, picture, x = (torch.tensor([[number]]) for number in (1.0, 3.0, 2.0))
    >>> made.velocity(picture - noise, x, half).item(), made.losses(x, x, noise, picture + 2, half).item()
    (2.0, 1.0)

    The second: an output of 2 where the velocity is 4, so the picture is missed by (1 - 1/2) 2 = 1.
    """

    def __init__(self, *, loss: Literal["velocity", "x", "noise"] = "velocity", cosine: float = 0.0):
        super().__init__(loss, cosine)
        self.trains_velocity = loss == "velocity" and not cosine

    def truth(self, x0_BCHW: Tensor, x1_BCHW: Tensor) -> Tensor:
        """Return x1 - x0."""
        return x1_BCHW - x0_BCHW

    def velocity(self, out_BCHW: Tensor, x_BCHW: Tensor, t_B: Tensor) -> Tensor:
        """Return the output itself."""
        return out_BCHW

    def scale(self, t: Tensor) -> Tensor | float:
        """1, 1 - t for x, t for noise."""
        if self.loss == "velocity":
            return 1.0
        return 1 - t if self.loss == "x" else t
