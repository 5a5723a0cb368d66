"""Times near both ends."""

import math

import torch
from torch import Tensor

from rope_dit.densities.base import Density
from rope_dit.errors import check
from rope_dit.registry import DENSITIES


@DENSITIES.register("u_shaped")
class UShaped(Density):
    """Density in proportion to exp(a t) + exp(a (1 - t)): most times near noise and data (arXiv:2405.20320).

    Made for the second rectification, whose couplings leave little to learn in the middle; a = 4 there.

    Source: Lee, Lin and Fanti (arXiv:2405.20320).

    >>> import torch
    >>> t = UShaped().quantile(torch.tensor([0.0, 0.25, 0.5, 1.0]))  # 1/2 - asinh(sinh(2) / 2) / 4
    >>> [round(float(number), 4) for number in t]
    [0.0, 0.1608, 0.5, 1.0]
    """

    def __init__(self, *, a: float = 4.0):
        check(0 < a <= 100, "u_shaped: option 'a'", a, "a number above 0 and up to 100")
        self.a = a

    def quantile(self, u: Tensor) -> Tensor:
        """The density is that of cosh(a (t - 1/2)), whose integral can be turned round."""
        return 0.5 + torch.asinh((2 * u - 1) * math.sinh(self.a / 2)) / self.a
