"""The rule of `analysis.stats` on many studies at once, as `compare` applies it to one."""

from dataclasses import dataclass

import numpy as np

from analysis.rates.draw import Bools, contrasts
from analysis.stats import sign_flips
from analysis.stats.intervals import Array, Contrast
from analysis.stats.verdicts import Evidence, evidence, verdicts


@dataclass(frozen=True)
class Judged:
    """Verdicts on the comparisons [study, k - 1] of families.

    Attributes:
        verdict: coded as by `verdicts`.
        more: whether a side of 0 is called by more than the margin.
        found: what they rest on.
    """

    verdict: Array
    more: Bools
    found: Evidence


def judge(x: Array, margin: Array | float, level: float = 0.05, paired: bool = True) -> Judged:
    """Verdicts on values [study, seed, k]."""
    contrast, n = contrasts(x, paired), x.shape[1]
    arms = np.moveaxis(x, 1, -1)
    flips = np.full(contrast.difference.shape, np.nan)
    if paired:
        flips = sign_flips.sign_flip_ps(arms[:, 1:] - arms[:, :1])
    return called(contrast, flips, n, margin, level, paired)


def called(
    contrast: Contrast, flips: Array, n: Array | int, margin: Array | float, level: float, paired: bool = True
) -> Judged:
    """Verdicts on contrasts and raw sign-flip p-values of n seeds each."""
    k = contrast.difference.shape[-1]
    floor = sign_flips.floor(n, k) if paired else np.nan
    found = evidence(contrast, margin, flips)
    verdict = verdicts(contrast, found, level, floor, n)
    return Judged(verdict, np.isin(verdict, (-1, 1)) & (found.beyond < level), found)
