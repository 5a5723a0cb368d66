"""The exact test that asks nothing of the values but symmetry: all signs that the differences could have."""

import math

import numpy as np

from analysis.stats.intervals import Array

_MOST = 40  # seeds; half of them give 2**20 sums, which is 8 MB
_AT_ONCE = 14  # seeds up to which all sums of many studies are counted at once
_BLOCK = 2**16  # sums held at a time


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


def sign_flip_ps(differences: Array) -> Array:
    """`sign_flip_p` of many studies at once: p-values [...] of differences [..., n]."""
    n = differences.shape[-1]
    rows = differences.reshape(math.prod(differences.shape[:-1]), n)
    if not 0 < n <= _AT_ONCE:
        return np.array([sign_flip_p(row) for row in rows]).reshape(differences.shape[:-1])
    signs = 1.0 - 2 * (
        (np.arange(2 ** (n - 1)) >> np.arange(n)[:, None]) & 1
    )  # the last number keeps its own
    reach = abs(rows.sum(-1, keepdims=True)) - 1e-9 * abs(rows).sum(-1, keepdims=True)
    blocks = max(1, rows.shape[0] * signs.shape[1] // _BLOCK)
    pairs = zip(np.array_split(rows, blocks), np.array_split(reach, blocks), strict=True)
    above = np.concatenate([np.count_nonzero(abs(some @ signs) >= least, axis=-1) for some, least in pairs])
    p: Array = 2 * above / 2.0**n
    return p.reshape(differences.shape[:-1])


def _signed_sums(numbers: Array) -> Array:
    """All 2**n sums with either sign before each number."""
    sums = np.zeros(1)
    for number in numbers:
        sums = np.concatenate([sums + number, sums - number])
    return sums


def floor(n: Array | int, family: int) -> Array:
    """The least that a sign-flip p of n pairs can be once it is Holm-adjusted in a family of so many.

    >>> floor(np.array([3, 7]), 3).tolist()
    [0.75, 0.046875]
    """
    least: Array = np.minimum(1.0, family * 2.0 ** (1 - np.asarray(n)))
    return least
