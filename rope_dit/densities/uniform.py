"""All times alike."""

from torch import Tensor

from rope_dit.densities.base import Density
from rope_dit.registry import DENSITIES


@DENSITIES.register("uniform")
class Uniform(Density):
    """Every t in (0, 1) alike.

    Source: rectified flow (arXiv:2209.03003).

    >>> Uniform().quantile(0.3)
    0.3
    """

    def quantile(self, u: Tensor) -> Tensor:
        """Return u itself."""
        return u
