"""The exact test that asks nothing of the values but symmetry: all signs that the differences could have."""

import math

import numpy as np

from analysis.stats.intervals import Array

_MOST = 40  # seeds; half of them give 2**20 sums, which is 8 MB


def sign_flip_p(differences: Array) -> float:
    """Exact p-value: the share of the 2**n sign flips whose mean is at least as far from 0.

    Args:
        differences: [n]; nan is the answer for none and for more than 40.
    """
    n = len(differences)
    if not 0 < n <= _MOST:
        return math.nan
    # halves: 2**20 sums of each stand for all 2**40 of both
    reach = abs(differences.sum()) - 1e-9 * abs(differences).sum()
    if reach <= 0:
        return 1.0
    left, right = _signed_sums(differences[: n // 2]), np.sort(_signed_sums(differences[n // 2 :]))
    above = right.size - np.searchsorted(right, reach - left)
    return 2 * float(above.sum()) / 2.0**n  # the sums are symmetric around 0


def _signed_sums(numbers: Array) -> Array:
    """All 2**n sums with either sign before each number."""
    sums = np.zeros(1)
    for number in numbers:
        sums = np.concatenate([sums + number, sums - number])
    return sums


def floor(n: int, family: int) -> float:
    """The least that a sign-flip p of n pairs can be once it is Holm-adjusted in a family of so many.

    >>> floor(7, 3)
    0.046875
    """
    return min(1.0, max(1, family) * 2.0 ** (1 - n))
