"""What a density of training times is, and how one is built from a spec."""

from torch import Tensor

from rope_dit.randomness import Numbers
from rope_dit.registry import DENSITIES, Part


class Density:
    """Base of all densities of t. Options are keyword-only arguments of `__init__` with defaults."""

    modifies: bool = False
    """built around the density beside it, as `stratified+logit_normal`, or around `uniform`"""

    def quantile(self, u: Tensor) -> Tensor:
        """Time below which the share u of all times lies; float64, u in (0, 1), not falling in u."""
        raise NotImplementedError(f"{type(self).__name__} must say its quantiles")

    def draw(self, numbers: Numbers, count: int) -> Tensor:
        """Times of each step, float32 [steps, count] in [0, 1].

        In float64 before, because devices differ in the last bit of an exponential.
        """
        return self.quantile(numbers.uniform(count).double()).float()


def build_density(spec: str) -> Density:
    """Build what `spec` names, for example `stratified+logit_normal:mean=-0.5`. Raises UserError."""
    parts = DENSITIES.canonical(spec).split("+")
    parts.sort(key=lambda part: DENSITIES[Part.parse(part).name].claims.get("modifies", False))
    density: Density = DENSITIES.bind(parts[0])()
    for part in parts[1:]:
        density = DENSITIES.bind(part)(density)
    return density
