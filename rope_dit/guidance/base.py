"""What guidance is: it makes a velocity of a network, and says what that costs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rope_dit.errors import check
from rope_dit.registry import Value, show
from rope_dit.samplers.base import Velocity

CLOSE = 1e-9
"""times that differ by less are one: the third of ten steps ends at 0.30000000000000004"""
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


class Guidance:
    """Base of all guidance. Options are keyword-only arguments of `__init__` with defaults.

    Claims, written as literals in the guidance's own class, because settings are checked by them without
    torch, and measured on every registered guidance:
    """

    evals: int = 1
    """evaluations of the network at a time where it acts"""
    needs_null_class: bool = False
    """asks the network about the class that stands for none"""
    needs_weak: bool = False
    """asks other weights of the same run, which its option `weak` names; then `velocity` takes a further
    argument `weak`, the network with these weights"""
    off: ClassVar[Mapping[str, Value]] = {}
    """values of options at which the velocity is the network's own, at one evaluation and without a null
    class; its other options mean nothing then, and texts have them at their defaults"""

    def velocity(self, network: Network, labels_B: Tensor, null_label: int | None) -> Velocity:
        """Make the velocity of pictures of given classes.

        Args:
            network: evaluates velocities.
            labels_B: class of each picture, int64.
            null_label: the class that stands for none, where there is one.
        """
        raise NotImplementedError(f"{type(self).__name__} must make a velocity")


def check_number(owner: str, name: str, value: float, most: float) -> None:
    """Raise UserError unless an option is from 0 to `most`; names of scores and files stay short."""
    ok = 0 <= value <= most and value == float(f"{value:g}")
    check(ok, f"{owner}: option '{name}'", value, f"a number from 0 to {most} with at most 6 digits")


def check_interval(owner: str, begin: float, end: float) -> None:
    """Raise UserError unless `begin` and `end` are times in this order."""
    for name, value in (("begin", begin), ("end", end)):
        check_number(owner, name, value, 1)
    check(begin < end, f"{owner}: option 'end'", end, f"a time after begin={show(begin)}")


def unguided(network: Network, labels_B: Tensor) -> Velocity:
    """The network's own velocity of pictures of given classes."""
    return lambda x_BCHW, t: network(x_BCHW, times(x_BCHW, float(t)), labels_B)


def times(x_BCHW: Tensor, time: float) -> Tensor:
    """One time for all pictures, float32 [B], on their device."""
    # filled, not copied: a copy to the device would make the host wait at every evaluation
    return x_BCHW.new_full(x_BCHW.shape[:1], time, dtype=torch.float32)
