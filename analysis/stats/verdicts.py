"""The rule by which arms are called better, worse or equivalent, on arrays: many studies are one call.

Each difference is placed against 0 and the margin from three sides (Goeman, Solari and Stijnen 2010, Stat.
Med. 29:2117). Of "no difference" and "a difference of the margin or more" one at most is true of an arm, so
both are tested at one level (the partitioning principle), and only arms share it, by Bonferroni. An arm that
lies beyond the margin leaves its share to the others, as in Holm's procedure: what else could be said of it
is false by far.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.stats.intervals import Array, Contrast, holm, p_values, tail

FEWEST = 3
"""seeds below which there is no verdict"""


@dataclass(frozen=True)
class Evidence:
    """p-values of the comparisons [..., k] of one family, adjusted for it; nan where there is none.

    Attributes:
        difference: that there is none, by t.
        skewed: the same, by t freed of the skewness that the family's differences have in common (Hall 1992).
        flips: the same, by sign flips, Holm-adjusted.
        beyond: that it is within the margin, two-sided.
        inside: that it is the margin or more (two one-sided tests).
    """

    difference: Array
    skewed: Array
    flips: Array
    beyond: Array
    inside: Array


def evidence(contrast: Contrast, margin: Array | float, flips: Array) -> Evidence:
    """All p-values of families.

    Args:
        contrast: of arrays [..., k], a family each. What has no p for want of seeds keeps its place in it.
        margin: absolute, [..., k] or what fits; nan where there is none.
        flips: raw sign-flip p-values [..., k]; nan where there is none.
    """
    known = ~np.isnan(contrast.error)
    side, apart = np.sign(contrast.difference), abs(contrast.difference)
    skew = contrast.skew.mean(-1, keepdims=True)
    below = tail(contrast, margin - contrast.difference, -skew)
    above = tail(contrast, margin + contrast.difference, skew)
    alike = (contrast.error == 0) & (contrast.difference == 0) & (margin > 0)
    gone = holm(_filled(2 * tail(contrast, apart - margin, side * skew)))
    found = Evidence(
        difference=_shared(_filled(p_values(contrast)), gone),
        skewed=_shared(_filled(2 * tail(contrast, apart, side * skew)), gone),
        flips=np.where(np.isnan(flips), np.nan, holm(_filled(flips))),
        beyond=gone,
        inside=_shared(np.where(alike, 0.0, _filled(np.maximum(below, above))), gone),
    )
    return Evidence(**{name: np.where(known, p, np.nan) for name, p in vars(found).items()})


def verdicts(
    contrast: Contrast, found: Evidence, level: float, floor: Array | float, n: Array | int
) -> Array:
    """Verdicts [..., k] of families: -1 or 1, the side of 0 of the difference; 0, equivalent; else nan.

    A side is called only where neither skewness nor sign flips speak against it, see `fragile`.

    Args:
        contrast, found: of the families.
        level: of this look.
        floor: the least that the sign-flip p can be; nan where there is none.
        n: seeds of each comparison.
    """
    side = np.where(
        differs(found, level) & ~fragile(found, level, floor), np.sign(contrast.difference), np.nan
    )
    called = np.where(found.inside < level, 0.0, side)
    return np.where(np.asarray(n) < FEWEST, np.nan, called)


def differs(found: Evidence, level: float) -> Any:
    """Whether t alone finds a difference."""
    return found.difference < level


def fragile(found: Evidence, level: float, floor: Array | float) -> Any:
    """Whether what t finds rests on normality: skewness explains it, or sign flips do not find it.

    These find it where their p is at most the level, or twice the least that so few seeds can give: one seed
    may be of another mind. Held to the least itself, seven seeds lose a fifth of the power, and errors stay.
    """
    flips = found.flips > np.maximum(level, 2 * floor) * (1 + 1e-9)
    return differs(found, level) & ((found.skewed >= level) | flips)


def _shared(p: Array, gone: Array) -> Array:
    """The least level at which p is below its share of it, when arms that are `gone` at a level take none."""
    m = p.shape[-1]
    ladder = np.concatenate([np.zeros_like(gone[..., :1]), np.sort(gone, -1)], -1)
    shares = [np.maximum((m - k) * p, ladder[..., k : k + 1]) for k in range(m)]
    least: Array = np.minimum(1.0, np.minimum.reduce(shares)) if shares else p
    return least


def _filled(p: Array) -> Array:
    return np.minimum(1.0, np.nan_to_num(p, nan=1.0))
