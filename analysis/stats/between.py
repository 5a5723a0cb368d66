"""An arm's gain over a baseline in a unit that every study has, and whether it differs between two studies.

Scores of two data sets have no common unit, so a gain is counted in the baseline's retraining spread, or as a
share of the baseline's distance from the real floor. Exploratory: intervals, no verdicts. Throughout lower
values are better; turn the sign of those of which higher are.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from analysis.stats.intervals import Array, Interval, paired_contrast, welch_contrast

FEWEST_SEEDS = 4
"""of the baseline, below which its spread says too little to be a unit"""


@dataclass(frozen=True)
class Gain:
    """How much better than the baseline an arm is, in some unit; above 0 is better.

    Attributes:
        value: the estimate; nan where it cannot be had, and so are the others.
        variance: of the estimate.
        df: degrees of freedom of the variance.
        n: seeds that it rests on.
    """

    value: float
    variance: float
    df: float
    n: int

    @property
    def interval(self) -> Interval:
        """With its 95 % t interval."""
        return _interval(self.value, self.variance, self.df, self.n)


def gain_in_spreads(arm: Array, baseline: Array, paired: bool) -> Gain:
    """Gain in units of the baseline's standard deviation over seeds, freed of the bias of small samples.

    g = J D / s with the mean difference D, the baseline's deviation s on nu degrees of freedom and Hedges' J
    (1981, J. Educ. Stat. 6:107). Its variance is J^2 var(D) / s^2 + g^2 (J^2 nu / (nu - 2) - 1): the second
    part is that of s, which is independent of D for normal values. The intervals are cautious: of normal
    values those of an interaction cover the truth in 96 to 100 % of studies of 7 and 12 seeds.

    Args:
        arm, baseline: values, of the same seeds in the same order where `paired`.
        paired: whether differences are taken seed by seed.
    """
    n, nu = min(len(arm), len(baseline)), len(baseline) - 1
    spread = float(baseline.std(ddof=1)) if nu > 0 else 0.0
    if n < 2 or nu < FEWEST_SEEDS - 1 or spread <= 0:
        return _unknown(n)
    contrast = (paired_contrast if paired else welch_contrast)(baseline, arm)
    hedges = math.exp(special.gammaln(nu / 2) - special.gammaln((nu - 1) / 2)) / math.sqrt(nu / 2)
    value = hedges * float(contrast.difference) / spread
    of_difference = (hedges * float(contrast.error) / spread) ** 2
    of_spread = value**2 * (hedges**2 * nu / (nu - 2) - 1)
    return Gain(value, *_added((of_difference, float(contrast.df)), (of_spread, nu)), n)


def gain_in_gaps(arm: Array, baseline: Array, floor: Array, paired: bool) -> Gain:
    """Gain as a share of the baseline's distance from the real floor; 1 where the arm is as real pictures.

    g = (B - A) / (B - F) of the means. To first order its error is that of ((1 - g) b + g f - a) / (B - F),
    taken seed by seed, so that of the distance is in it. Intervals of an interaction of normal values cover
    the truth in 94 to 96 % of studies of 5 to 12 seeds.

    Args:
        arm, baseline: as in `gain_in_spreads`.
        floor: what real pictures score, for each seed of the baseline.
        paired: whether differences are taken seed by seed.
    """
    n = min(len(arm), len(baseline))
    gap = float((baseline - floor).mean()) if len(baseline) else math.nan
    if n < 2 or not gap > 0:
        return _unknown(n)
    value = float(baseline.mean() - arm.mean()) / gap
    leading = ((1 - value) * baseline + value * floor) / gap
    contrast = (paired_contrast if paired else welch_contrast)(leading, arm / gap)
    return Gain(value, float(contrast.error) ** 2, float(contrast.df), n)


def interaction(first: Gain, second: Gain) -> Interval:
    """First gain minus second, of two studies that have nothing to do with each other; Welch's t interval."""
    variance, df = _added((first.variance, first.df), (second.variance, second.df))
    return _interval(first.value - second.value, variance, df, min(first.n, second.n))


def _added(*parts: tuple[float, float]) -> tuple[float, float]:
    """Variance and degrees of freedom of a sum of independent estimates (Satterthwaite 1946)."""
    total = sum(variance for variance, _ in parts)
    below = sum(variance**2 / df for variance, df in parts)
    return total, total**2 / below if below > 0 else min(df for _, df in parts)


def _interval(value: float, variance: float, df: float, n: int) -> Interval:
    half = float(special.stdtrit(df, 0.975)) * math.sqrt(variance) if variance >= 0 else math.nan
    return Interval(value, value - half, value + half, n)


def _unknown(n: int) -> Gain:
    return Gain(math.nan, math.nan, math.nan, n)


def better_low(values: Array, better: str) -> Array:
    """Values with the sign at which lower ones are better."""
    return values if better == "lower" else np.negative(values)
