"""Two arms' values at one endpoint, and what follows from them alone."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.stats import sign_flips
from analysis.stats.intervals import Array, Contrast, Interval, paired_contrast, welch_contrast
from analysis.stats.pairing import pairing_gain

Labels = tuple[str, str]
"""arm and reference"""


@dataclass(frozen=True)
class Pair:
    """Values of one comparison.

    Attributes:
        arm, reference: labels.
        paired: whether differences are taken seed by seed.
        values: of the arm and of the reference, in the order of the seeds; where paired of common seeds.
        contrast: of their means.
    """

    arm: str
    reference: str
    paired: bool
    values: tuple[Array, Array]
    contrast: Contrast

    @property
    def labels(self) -> Labels:
        """Arm and reference."""
        return self.arm, self.reference

    @property
    def n(self) -> int:
        """Pairs, or values of the smaller group."""
        return min(map(len, self.values))

    @property
    def median(self) -> float:
        """Of the paired differences; of unpaired arms the difference of their medians; nan without values."""
        if not self.n:
            return math.nan
        arm, reference = self.values
        return float(np.median(arm - reference) if self.paired else np.median(arm) - np.median(reference))

    @property
    def flips(self) -> float:
        """Raw p of the sign flips; nan where unpaired."""
        return sign_flips.sign_flip_p(self.values[0] - self.values[1]) if self.paired else math.nan

    @property
    def spread_ratio(self) -> float:
        """Of the standard deviations over seeds, the larger to the smaller; nan without a spread."""
        if self.n < 2:
            return math.nan
        small, large = sorted(float(values.std(ddof=1)) for values in self.values)
        return large / small if small > 0 else math.nan

    @property
    def gain(self) -> Interval | None:
        """What pairing was worth; None where unpaired."""
        if not self.paired or self.n < 2:
            return None
        unpaired = sum(float(values.var(ddof=1)) for values in self.values) / self.n
        return pairing_gain(unpaired, float(self.contrast.error) ** 2, self.n)


def pairs_of(values: pd.DataFrame, wanted: Sequence[Labels], paired: Collection[Labels]) -> list[Pair]:
    """The comparisons that are wanted, of a frame with the columns arm, seed and value; some are paired."""
    arms = _by_arm(values)
    return [_pair(arms, labels, labels in paired) for labels in wanted]


def stacked(contrasts: Sequence[Contrast]) -> Contrast:
    """Contrasts of scalars as one of arrays [k]."""
    names = vars(contrasts[0])
    return Contrast(**{name: np.array([getattr(c, name) for c in contrasts], dtype=float) for name in names})


def _pair(arms: Mapping[str, Mapping[int, float]], labels: Labels, paired: bool) -> Pair:
    a, b = (arms.get(label, {}) for label in labels)
    if paired:
        common = [seed for seed in b if seed in a]
        a, b = {seed: a[seed] for seed in common}, {seed: b[seed] for seed in common}
    values = np.array([*a.values()], dtype=np.float64), np.array([*b.values()], dtype=np.float64)
    return Pair(*labels, paired, values, paired_contrast(*values) if paired else welch_contrast(*values))


def _by_arm(values: pd.DataFrame) -> dict[str, dict[int, float]]:
    """The values of each arm by seed, in the order of the seeds so that sums do not depend on the rows'."""
    ordered = values.sort_values("seed")
    arms: dict[str, dict[int, float]] = {}
    for arm, seed, value in zip(ordered["arm"], ordered["seed"], ordered["value"], strict=True):
        arms.setdefault(arm, {})[seed] = float(value)
    return arms
