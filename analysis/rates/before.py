"""The rule that was before `analysis.stats.verdicts`: what that gains and costs is measured against it."""

import numpy as np

from analysis.rates.draw import Bools, contrasts
from analysis.stats.intervals import Array, Contrast, half_widths, holm, p_values, tail


def judge(x: Array, margin: Array | float, level: float = 0.05, paired: bool = True) -> Array:
    """Verdicts [study, k - 1] on values [study, seed, k], coded as by `verdicts`."""
    return called(contrasts(x, paired), margin, level)


def called(contrast: Contrast, margin: Array | float, level: float) -> Array:
    """A side of 0 by Holm-adjusted t; else equivalent if the interval of 1 - 2 * level is in the margin."""
    inside = abs(contrast.difference) + half_widths(contrast, 1 - 2 * level) < margin
    p = holm(np.minimum(1.0, np.nan_to_num(p_values(contrast), nan=1.0)))
    return np.where(p < level, np.sign(contrast.difference), np.where(inside, 0.0, np.nan))


def separate(x: Array, margin: Array | float, level: float = 0.05) -> tuple[Bools, Bools]:
    """Two families of Holm's, each at the full level: where a difference is found, where equivalence."""
    contrast = contrasts(x)
    inside = tail(contrast, margin - abs(contrast.difference))
    return holm(p_values(contrast)) < level, holm(inside) < level


def levels(looks: int) -> list[float]:
    """The level of each look: 5 % at the first, 5 % / (5 * 2**(k - 1)) at the k-th."""
    return [0.05, *(0.05 / (5 * 2 ** (k - 1)) for k in range(2, looks + 1))]
