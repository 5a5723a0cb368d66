"""Classifier-free guidance as a wrapper around a network, and the counter of its evaluations."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Network = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x [B, C, H, W], t [B] float32, labels [B]) -> velocity [B, C, H, W]"""


@dataclass(eq=False)
class Counted:
    """Counts the rows that a network really evaluates; divided by the number of pictures this is the NFE."""

    network: Network
    rows: int = 0

    def __call__(self, x_BCHW: Tensor, t_B: Tensor, labels_B: Tensor) -> Tensor:
        """Evaluate and count."""
        self.rows += len(x_BCHW)
        return self.network(x_BCHW, t_B, labels_B)


@dataclass(frozen=True, eq=False)
class Guided:
    """A velocity for pictures of given classes (Ho and Salimans, arXiv:2207.12598).

    v = v_null + weight (v_class - v_null) on all channels at times within `interval` (arXiv:2404.07724), both
    ends included; elsewhere, and at weight 1, the class's velocity alone, at one evaluation instead of two.

    Args:
        network: evaluates velocities.
        labels_B: class of each picture.
        null_label: the class that stands for none; may be None where weight is 1.
        weight: 0 is unconditional, 1 plain, more than 1 exaggerates the class.
        interval: lowest and highest t at which guidance acts.
    """

    network: Network
    labels_B: Tensor
    null_label: int | None = None
    weight: float = 1.0
    interval: tuple[float, float] = (0.0, 1.0)

    def __call__(self, x_BCHW: Tensor, t: Tensor) -> Tensor:
        """Velocity at x [B, C, H, W] and t (0-dimensional)."""
        time = float(t)
        # filled, not copied: a copy to the device would make the host wait at every evaluation
        t_B = torch.full(x_BCHW.shape[:1], time, dtype=torch.float32, device=x_BCHW.device)
        if self.weight == 1 or not self.interval[0] <= time <= self.interval[1]:
            return self.network(x_BCHW, t_B, self.labels_B)
        assert self.null_label is not None, "guidance needs a model with a null class"
        labels = torch.cat((self.labels_B, torch.full_like(self.labels_B, self.null_label)))
        both = self.network(torch.cat((x_BCHW, x_BCHW)), torch.cat((t_B, t_B)), labels)
        v_class, v_null = both.chunk(2)
        return v_null + self.weight * (v_class - v_null)
