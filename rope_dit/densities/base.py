"""What a density of training times is, and how one is built from a spec."""

from torch import Tensor

from rope_dit.config import check
from rope_dit.randomness import Numbers
from rope_dit.registry import DENSITIES


class Density:
    """Base of all densities of t. Options are keyword-only arguments of `__init__` with defaults."""

    wraps: bool = False
    """built around another density, as `stratified+uniform`"""

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
    wrapping = [part for part in parts if DENSITIES[part.partition(":")[0]].claims.get("wraps")]
    plain = [part for part in parts if part not in wrapping] or ["uniform"]
    check(len(plain) == 1, "train.density", spec, "one density, and 'stratified' beside it or not")
    density: Density = DENSITIES.bind(plain[0])()
    for part in wrapping:
        density = DENSITIES.bind(part)(density)
    return density
