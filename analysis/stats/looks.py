"""How strict each look at a growing study is: looks that were planned share alpha, others cost more."""

from collections.abc import Sequence

import numpy as np
from scipy import optimize, special

from analysis.stats.intervals import Array

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(256)  # for integrals over -1 to 1


def levels(looks: Sequence[int], planned: int, alpha: float = 0.05) -> list[float]:
    """Level of the verdicts at each look at a study.

    Up to the planned seeds, alpha is spent as Lan and DeMets (1983, Biometrika 70:659) have it, by their
    function of the type of O'Brien and Fleming, half of it on either side: all looks up to then are wrong in
    alpha of studies at most, whatever looks come. The first later look, or one at seeds that were looked at
    before (more arms, say), has alpha / 10, and each further one half of that; they add a fifth of alpha at
    most, by Bonferroni's inequality.

    Args:
        looks: seeds an arm at each look, in their order.
        planned: seeds an arm at the last planned look.
        alpha: of all planned looks together.

    >>> levels([7], 7), [round(level, 4) for level in levels([3, 5, 7, 10, 12], 7)]
    ([0.05], [0.0012, 0.0156, 0.0451, 0.005, 0.0025])
    """
    found: list[float] = []
    spending, more = _Spending(alpha), 0
    for seeds in looks:
        share = min(1.0, seeds / planned)
        if share > spending.share:
            found.append(spending.level(share))
        else:
            more += 1
            found.append(alpha / (5 * 2**more))
    return found


class _Spending:
    """Looks at a Brownian motion; values at the nodes are those of paths that no look has stopped."""

    def __init__(self, alpha: float):
        self.alpha, self.share, self.spent = alpha, 0.0, 0.0
        self.places, self.density = np.zeros(1), np.ones(1)

    def level(self, share: float) -> float:
        """Look at this share of the planned seeds; returns the two-sided level there."""
        total = self.alpha if share == 1 else 4 * special.ndtr(special.ndtri(self.alpha / 4) / share**0.5)
        step, now = (share - self.share) ** 0.5, total - self.spent

        def excess(bound: float) -> float:
            return float(self.density @ self._outside(bound * share**0.5, step)) - now

        bound = float(optimize.brentq(excess, 0.0, 40.0, xtol=1e-12))
        edge = bound * share**0.5
        places = edge * _NODES
        steps = np.exp(-(((places[:, None] - self.places) / step) ** 2) / 2) / (step * (2 * np.pi) ** 0.5)
        self.density = edge * _WEIGHTS * (steps @ self.density)
        first = self.share == 0
        self.places, self.share, self.spent = places, share, total
        return float(now if first else 2 * special.ndtr(-bound))

    def _outside(self, edge: float, step: float) -> Array:
        """Chance [nodes] to step from each place to one at least `edge` from 0."""
        below: Array = special.ndtr((-edge - self.places) / step) + special.ndtr((self.places - edge) / step)
        return below
