"""What an objective is: the meaning of the network's output, the velocity that follows, and the loss.

On the path x_t = t x1 + (1 - t) x0 the noise x0, the picture x1 and the velocity v = x1 - x0 follow from each
other once x_t and t are known. A loss in another space than the network's output is therefore that output's
squared error times a weight in t: all nine pairs are one formula. Samplers never know any of this.
"""

from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from rope_dit.errors import check

Space = Literal["velocity", "x", "noise"]


class Objective:
    """Base of all objectives. Options are keyword-only arguments of `__init__` with defaults.

    Args:
        loss: space in which the squared error is taken.
        cosine: weight of the velocity's direction in the loss, see `losses`.
    """

    trains_velocity: bool = False
    """whether the loss is the squared error of the velocity itself, so that no second one need be logged"""

    def __init__(self, loss: Space, cosine: float):
        check(cosine >= 0, "objective: option 'cosine'", cosine, "0 or more")
        self.loss, self.cosine = loss, cosine

    def truth(self, x0_BCHW: Tensor, x1_BCHW: Tensor) -> Tensor:
        """What a perfect network would output."""
        raise NotImplementedError(f"{type(self).__name__} must say what the network predicts")

    def velocity(self, out_BCHW: Tensor, x_BCHW: Tensor, t_B: Tensor) -> Tensor:
        """Velocity that the network's output means at x_t and t [B]."""
        raise NotImplementedError(f"{type(self).__name__} must say which velocity follows")

    def scale(self, t: Tensor) -> Tensor | float:
        """Error in the loss's space for an error of 1 in the output, up to its sign, at times t."""
        raise NotImplementedError(f"{type(self).__name__} must say how errors scale")

    def losses(
        self, out_BCHW: Tensor, x_BCHW: Tensor, x0_BCHW: Tensor, x1_BCHW: Tensor, t_B: Tensor
    ) -> Tensor:
        """Loss of each picture, [B].

        With `cosine`, 1 - cos(velocity, x1 - x0) times that weight is added: the direction loss of
        LightningDiT (arXiv:2501.01423), here over the whole picture instead of the channels of a latent.
        """
        error = out_BCHW.float() - self.truth(x0_BCHW, x1_BCHW)
        loss_B = (error * self.scale(per_picture(t_B, error))).square().flatten(1).mean(1)
        if self.cosine:
            v_BCHW, target_BCHW = self.velocity(out_BCHW.float(), x_BCHW, t_B), x1_BCHW - x0_BCHW
            cos_B = F.cosine_similarity(v_BCHW.flatten(1), target_BCHW.flatten(1), dim=1, eps=1e-6)
            loss_B = loss_B + self.cosine * (1 - cos_B)
        return loss_B


def per_picture(t_B: Tensor, like_BCHW: Tensor) -> Tensor:
    """Times [B] in a shape that broadcasts over pictures."""
    return t_B.view(-1, *[1] * (like_BCHW.dim() - 1))


def check_clamp(clamp: float) -> float:
    """Return the least value of a denominator. Raises UserError unless it is above 0 and at most 1."""
    check(0 < clamp <= 1, "objective: option 'clamp'", clamp, "a number above 0 and at most 1")
    return clamp
