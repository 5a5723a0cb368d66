"""What extrapolations share: a base class of hooks, and how much larger a grid is than the trained one."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Grid = tuple[int, int]
Axis = Literal[0, 1] | None
"""rows, columns, or the line of all tokens in some order"""
Fade = Tensor | float
"""share of the extrapolation that acts, in [0, 1]: of all pictures, or [B, 1, 1, 1] of each"""


class Extrapolation:
    """Base of all items, doing nothing. Options are keyword-only arguments of `__init__` with defaults.

    A spec names one item that changes places or frequencies (`none` where it names none of them) and any that
    claim `modifies`. On a grid that is not larger than the trained one no hook is called.
    """

    modifies: bool = False
    """acts beside the one item that a spec has, `none` where it names none"""
    acts_on: str = ""
    """coordinates, frequencies, logits or time"""
    axes: str = "separate"
    """separate: each axis goes by its own stretch (FiT's Vision forms); joint: both by the larger of them"""

    def squeeze(self, stretch: float, fade: Fade) -> Fade:
        """Return what the coordinates of an axis that is `stretch` times longer are multiplied by."""
        return 1.0

    def factor(self, size: Tensor, turns: Tensor, stretch: float, fade: Fade) -> Tensor:
        """Return what frequencies along an axis that is `stretch` times longer are multiplied by.

        Args:
            size: frequencies, radians a unit of position, 0 or more, those of one head along the last axis.
            turns: how often each turns along the trained axis.
            stretch: above 1.
            fade: 1, or less where time says so.
        """
        return torch.ones_like(size)

    def logits(self, stretch: float, tokens: tuple[int, int], fade: Fade) -> Fade:
        """Return what products of queries and keys are multiplied by; tokens: trained, at hand."""
        return 1.0

    def fade(self, t_B: Tensor) -> Tensor:
        """Return the share that acts at the flow's times (0 noise, 1 data), [B]."""
        return torch.ones_like(t_B)


@dataclass(frozen=True)
class Stretch:
    """A grid that is larger than the trained one on an axis at least, and what is done about it.

    >>> Stretch((4, 4), (8, 6), (Extrapolation(),), 1.0).by(0)
    2.0
    """

    trained: Grid
    grid: Grid
    items: tuple[Extrapolation, ...]
    share: Fade
    """[B, 1, 1, 1] where it depends on time"""

    def by(self, axis: Axis) -> float:
        """How many times longer the axis is than in training, at least 1; None: the line of all tokens."""
        longer = [max(1.0, n / trained) for n, trained in zip(self.grid, self.trained, strict=True)]
        if axis is None:
            return max(1.0, math.prod(self.grid) / math.prod(self.trained))
        return max(longer) if self.items[0].axes == "joint" else longer[axis]

    def factor(self, axis: Axis, size: Tensor) -> Tensor:
        """Return what frequencies along an axis are multiplied by, [..., n] or [B, H or 1, 1, n].

        `size` is [n] or [H or 1, 1, n].
        """
        length = math.prod(self.trained) if axis is None else self.trained[axis]
        magnitude, stretch = size.abs(), self.by(axis)
        share = self.share.to(size) if isinstance(self.share, Tensor) else self.share
        found = torch.ones_like(size * share)
        for item in self.items if stretch > 1 else ():
            found = found * item.factor(magnitude, magnitude * (length / (2 * math.pi)), stretch, share)
        return found

    def squeeze(self, axis: Axis) -> Fade:
        """What coordinates of an axis are multiplied by, or the numbers of tokens along their line."""
        return math.prod(item.squeeze(self.by(axis), self.share) for item in self.items)

    def logits(self) -> Fade:
        """What products of queries and keys are multiplied by."""
        tokens, most = (math.prod(self.trained), math.prod(self.grid)), max(self.by(0), self.by(1))
        return math.prod(item.logits(most, tokens, self.share) for item in self.items)
