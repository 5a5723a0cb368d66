"""All times alike."""

from torch import Tensor

from rope_dit.densities.base import Density
from rope_dit.registry import DENSITIES


@DENSITIES.register("uniform")
class Uniform(Density):
    """Every t in (0, 1) alike."""

    def quantile(self, u: Tensor) -> Tensor:
        """Return u itself."""
        return u
