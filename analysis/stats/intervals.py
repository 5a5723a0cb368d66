"""Means and differences of means over seeds, with t intervals and p-values.

The arithmetic works on arrays whose last axis is the seed, so thousands of studies are one call.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from rope_dit.errors import UserError

Array = npt.NDArray[np.float64]

_ROUNDING = 1e-12  # of the values' size: what differences of equal differences leave behind in float64


@dataclass(frozen=True)
class Interval:
    """A number with the interval around it; `low` and `high` are nan where they cannot be had (n < 2)."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Contrast:
    """Difference of two arms' means, and what its uncertainty rests on. Arrays have one shape [...].

    Attributes:
        difference: mean of the arm minus mean of the reference.
        error: its standard error; 0 where the values do not vary, nan below two seeds.
        df: degrees of freedom of an interval.
        df_test: degrees of freedom of a test. Unpaired these are those of the smaller group, which no
            test of normal values can exceed 5 % with; Welch's own reach 6.9 % in a family of three.
        alike_p: p-value of a difference without any spread, from counting relabellings.
        skew: standardised third cumulant of the difference, by moments; of n pairs their skewness / sqrt(n).
            0 below three seeds.
    """

    difference: Array
    error: Array
    df: Array
    df_test: Array
    alike_p: Array | float
    skew: Array


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Mean over seeds with its t interval.

    Args:
        values: one number a seed.
        level: coverage of the interval, in (0, 1).

    Raises:
        UserError: no value, a value that is not finite, or a level outside (0, 1).
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not numbers.size or not np.isfinite(numbers).all():
        raise UserError(f"a mean needs one or more finite numbers; got {list(values)!s:.80}.")
    if not 0 < level < 1:
        raise UserError(f"the level of an interval lies between 0 and 1, such as 0.95; got {level:g}.")
    return interval(paired_contrast(numbers, np.zeros_like(numbers)), level, numbers.size, of_alike=True)


def paired_contrast(arm: Array, reference: Array) -> Contrast:
    """Mean of the differences seed by seed.

    Args:
        arm, reference: values [..., n], where the last axis is the same seeds in the same order.
    """
    n = arm.shape[-1]
    if n < 2:
        return _without_spread((arm - reference).sum(-1) if n else np.full(arm.shape[:-1], np.nan))
    differences = arm - reference
    grain = _ROUNDING * np.maximum(abs(arm), abs(reference)).max(-1)
    df = np.full(arm.shape[:-1], n - 1.0)
    error = _cleared(differences.std(-1, ddof=1), grain) / math.sqrt(n)
    skew = _skew([differences], error)
    return Contrast(_cleared(differences.mean(-1), grain), error, df, df, 2.0 ** (1 - n), skew)


def welch_contrast(arm: Array, reference: Array) -> Contrast:
    """Difference of the means of two independent groups that may vary differently (Welch 1947).

    Args:
        arm, reference: values [..., n] and [..., m].
    """
    n, m = arm.shape[-1], reference.shape[-1]
    if not n or not m:
        return _without_spread(np.full(arm.shape[:-1], np.nan))
    difference = arm.mean(-1) - reference.mean(-1)
    if min(n, m) < 2:
        return _without_spread(difference)
    grain = _ROUNDING * np.maximum(abs(arm).max(-1), abs(reference).max(-1))
    parts = [_cleared(group.std(-1, ddof=1), grain) ** 2 / group.shape[-1] for group in (arm, reference)]
    variance = parts[0] + parts[1]
    df = _satterthwaite(parts[0], parts[1], n, m)
    df_test = np.full(df.shape, min(n, m) - 1.0)
    relabelled = min(1.0, 2 / math.comb(n + m, n))
    error = np.sqrt(variance)
    skew = _skew([arm, -reference], error)
    return Contrast(_cleared(difference, grain), error, df, df_test, relabelled, skew)


def p_values(contrast: Contrast) -> Array:
    """Two-sided p-values [...] of no difference; nan below two seeds.

    Values without spread have no t. A difference of exactly 0 then has p = 1, any other the share of
    relabellings (of signs where paired, of groups where not) that give one as large: 2**(1 - n) for n
    pairs, so that two equal differences are no proof.
    """
    return np.minimum(1.0, 2 * tail(contrast, abs(contrast.difference)))


def tail(contrast: Contrast, distance: Array, skew: Array | float = 0.0) -> Array:
    """One-sided p-values [...] of lying no further than `distance` from a bound; nan below two seeds.

    Args:
        contrast: whose spread counts.
        distance: of the difference from the bound, positive where it lies on the side to be proven.
        skew: of the differences, seen from the bound; 0 is Student's t. Else t is Hall's (1992, J. R. Stat.
            Soc. B 54:221, the monotone cubic), where that is nearer to 0.
    """
    still = contrast.error == 0
    t = distance / np.where(still, 1.0, contrast.error)
    alike = np.where(distance > 0, contrast.alike_p / 2, np.where(distance < 0, 1.0, 0.5))
    return np.where(still, alike, special.stdtr(contrast.df_test, -np.minimum(t, _halls(t, skew))))


def _halls(t: Array, skew: Array | float) -> Array:
    """t freed of the skewness of what it is a mean of: t + s t^2 / 3 + s^2 t^3 / 27 + s / 6."""
    return t + skew * t**2 / 3 + skew**2 * t**3 / 27 + skew / 6


def holm(raw: Array) -> Array:
    """Holm's adjusted p-values of families [..., m]; written out, as statsmodels' collects garbage each call.

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    order = raw.argsort(-1)
    weights = np.arange(raw.shape[-1], 0, -1)
    grown = np.maximum.accumulate(np.take_along_axis(raw, order, -1) * weights, axis=-1)
    adjusted: Array = np.take_along_axis(np.minimum(grown, 1), order.argsort(-1), -1)
    return adjusted


def half_widths(contrast: Contrast, level: float) -> Array:
    """Half the widths [...] of t intervals of coverage `level`; nan below two seeds.

    Without spread it is 0, but nan where the relabellings of `p_values` are too few for that level.
    """
    halves: Array = special.stdtrit(contrast.df, (1 + level) / 2) * contrast.error
    too_few = (contrast.error == 0) & (contrast.difference != 0) & (1 - contrast.alike_p < level)
    return np.where(too_few, np.nan, halves)


def interval(contrast: Contrast, level: float, n: int, of_alike: bool = False) -> Interval:
    """One contrast as an interval.

    Args:
        contrast: of scalars.
        level: coverage.
        n: seeds it rests on.
        of_alike: give equal values an interval of width 0 however few they are.
    """
    value, half = float(contrast.difference), float(half_widths(contrast, level))
    if of_alike and contrast.error == 0:
        half = 0.0
    return Interval(value, value - half, value + half, n)


def _without_spread(difference: Any) -> Contrast:
    value = np.asarray(difference, dtype=np.float64)
    unknown = np.full(value.shape, np.nan)
    return Contrast(value, unknown, unknown, unknown, 1.0, np.zeros_like(value))


def _skew(groups: Sequence[Array], error: Array) -> Array:
    """Standardised third cumulant of a sum of means [...] of independent groups [..., n]."""
    if min(group.shape[-1] for group in groups) < 3:
        return np.zeros_like(error)
    squares, cubes = np.zeros_like(error), np.zeros_like(error)
    for group in groups:
        apart, n = group - group.mean(-1, keepdims=True), group.shape[-1]
        squares += (apart**2).mean(-1) / n
        cubes += (apart**3).mean(-1) / n**2
    still = error == 0
    return np.where(still, 0.0, cubes / np.where(still, 1.0, squares) ** 1.5)


def _cleared(numbers: Array, grain: Array) -> Array:
    """Numbers with rounding errors set to exactly 0."""
    return np.where(abs(numbers) <= grain, 0.0, numbers)


def _satterthwaite(a: Array, b: Array, n: int, m: int) -> Array:
    """Degrees of freedom of the sum of two squared standard errors; n + m - 2 where both are 0."""
    below = a**2 / (n - 1) + b**2 / (m - 1)
    return np.where(below == 0, n + m - 2.0, (a + b) ** 2 / np.where(below == 0, 1, below))
