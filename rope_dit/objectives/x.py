"""Picture prediction."""

from typing import Literal

from torch import Tensor

from rope_dit.objectives.base import Objective, check_clamp, per_picture
from rope_dit.registry import OBJECTIVES


@OBJECTIVES.register("x")
class Picture(Objective):
    """The network predicts the picture x1; by default the loss is that of the velocity (arXiv:2511.13720).

    v = (x1 - x_t) / (1 - t) with the denominator held at `clamp` and above, in the loss (prediction and
    target alike) as in sampling. Close to t = 1 the velocity is therefore too small, (1 - t) / clamp times
    what it should be.

    Source: JiT (arXiv:2511.13720).

    >>> import torch
    >>> made, x, picture = Picture(), torch.tensor([[2.0]]), torch.tensor([[3.0]])
    >>> made.velocity(picture, x, torch.tensor([0.75])).item(), made.scale(torch.tensor(0.75)).item()
    (4.0, 4.0)
    >>> round(made.velocity(picture, x, torch.tensor([1.0])).item(), 4)  # 1 / 0.05
    20.0
    """

    def __init__(
        self,
        *,
        loss: Literal["velocity", "x", "noise"] = "velocity",
        clamp: float = 0.05,
        cosine: float = 0.0,
    ):
        super().__init__(loss, cosine)
        self.clamp = check_clamp(clamp)

    def truth(self, x0_BCHW: Tensor, x1_BCHW: Tensor) -> Tensor:
        """Return x1."""
        return x1_BCHW

    def velocity(self, out_BCHW: Tensor, x_BCHW: Tensor, t_B: Tensor) -> Tensor:
        """(x1 - x_t) / (1 - t)."""
        return (out_BCHW - x_BCHW) / (1 - per_picture(t_B, x_BCHW)).clamp(min=self.clamp)

    def scale(self, t: Tensor) -> Tensor | float:
        """1 for x, 1 / (1 - t) for the velocity, t / (1 - t) for noise."""
        if self.loss == "x":
            return 1.0
        return (t if self.loss == "noise" else 1.0) / (1 - t).clamp(min=self.clamp)
