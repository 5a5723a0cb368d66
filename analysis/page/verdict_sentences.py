"""Verdicts in words."""

import math

import numpy as np

from analysis.numbers import p_value
from analysis.stats import Comparison, Interval


def verdict_sentence(c: Comparison, metric: str) -> str:
    """One plain sentence with the numbers behind a verdict.

    Args:
        c: the comparison.
        metric: name of the endpoint, as readers know it.
    """
    if c.verdict == "same model":
        return f"{c.arm} and {c.reference} are the same model, so there is nothing to compare."
    if c.n < 2:
        few = f"{_seeds(c)} cannot give an interval"
        return f"{c.arm} against {c.reference} is inconclusive: {few}{_lost(c)}."
    if c.verdict == "equivalent":
        numbers = _numbers(c, metric, c.equivalence, 2 * c.alpha)
        return f"{c.arm} and {c.reference} are equivalent: {numbers}, inside the margin of {_text(c.margin)}."
    numbers = _numbers(c, metric, c.difference, c.alpha)
    if c.verdict == "inconclusive":
        return f"{c.arm} against {c.reference} is inconclusive: {numbers}{_lost(c)}{_missing(c)}."
    aside = f"; the difference is smaller than the margin of {_text(c.margin)}" if _inside(c) else ""
    return f"{c.arm} is {c.verdict} than {c.reference}: {numbers}{_lost(c)}{aside}."


def _numbers(c: Comparison, metric: str, around: Interval, missed: float) -> str:
    """How large, with which interval, on how many seeds, how sure."""
    sign = f"{_text(abs(around.value))} {'lower' if around.value < 0 else 'higher'}"
    size = sign if around.value else "no different"
    level = f"{100 * (1 - missed):g} % interval of the difference"
    known = not math.isnan(around.low)
    span = f"{level} {_text(around.low)} to {_text(around.high)}" if known else f"no {level}"
    p = p_value(c.p_adjusted)
    p = p if p.startswith("<") else f"= {p}"
    look = f", alpha {c.alpha:g} at look {c.looks}" if c.looks > 1 else ""
    return f"{metric} {size} ({span}, {_seeds(c)}, adjusted p {p}{look})"


def _seeds(c: Comparison) -> str:
    kind = "paired seed" if c.paired else "seed"
    return f"{c.n} {kind}{'' if c.n == 1 else 's'}{'' if c.paired else ' an arm'}"


def _lost(c: Comparison) -> str:
    counts = ((c.diverged, c.arm), (c.diverged_reference, c.reference))
    return "".join(f", {n} seed{'' if n == 1 else 's'} of {arm} diverged" for n, arm in counts if n)


def _missing(c: Comparison) -> str:
    """What an inconclusive comparison lacks."""
    if (c.diverged or c.diverged_reference) and (c.p_adjusted < c.alpha or _inside(c)):
        return "; an arm that diverges is called neither better nor equivalent"
    if c.seeds_needed is None:
        return ""
    margin = _text(c.margin)
    if c.seeds_needed > c.n:
        return f"; with about {c.seeds_needed} seeds the 95 % interval would reach no further than {margin}"
    return f"; the difference is too near 0 or the margin of {margin} for this many seeds"


def _inside(c: Comparison) -> bool:
    return -c.margin < c.equivalence.low and c.equivalence.high < c.margin


def _text(number: float) -> str:
    """Three significant digits, without an exponent."""
    return np.format_float_positional(number, precision=3, fractional=False, trim="-")
