"""Verdicts in words."""

import math
from collections.abc import Iterator

import numpy as np

from analysis.numbers import p_value
from analysis.stats import FEWEST, Comparison, Interval, Needed
from rope_dit.words import listed

_FEW = 4  # seeds up to which a verdict says how few there are
_FUTILE = 0.1
_WIDE = 3.0  # ratio of spreads from which it is said


def verdict_sentence(c: Comparison, metric: str) -> str:
    """One plain sentence, or two, with the numbers behind a verdict.

    Args:
        c: the comparison.
        metric: name of the endpoint, as readers know it.
    """
    if c.verdict == "same model":
        return f"{c.arm} and {c.reference} are the same model, so there is nothing to compare."
    if c.verdict == "exploratory":
        return f"{c.arm} against {c.reference} is exploratory: {_size(c, metric, c.difference, c.level)})."
    said = {"equivalent": _equivalent, "inconclusive": _inconclusive}.get(c.verdict, _apart)(c, metric)
    asides = [*_asides(c)]
    return f"{said}{''.join(f'; {aside}' for aside in asides)}."


def _apart(c: Comparison, metric: str) -> str:
    more = f" by more than the margin of {_text(c.margin)}" if c.by_more else ""
    numbers = _size(c, metric, c.difference, c.level)
    decided = f"adjusted p {_p(c.p_difference, c)} for no difference"
    return f"{c.arm} is {c.verdict} than {c.reference}{more}{_at_look(c)}: {numbers}, {decided})"


def _equivalent(c: Comparison, metric: str) -> str:
    detectable = f" (a difference of {_text(abs(c.difference.value))} is detectable)"
    numbers = _size(c, metric, c.equivalence, 2 * c.share)
    decided = f"adjusted p {_p(c.p_inside, c)} for a difference of the margin, {_text(c.margin)}, or more"
    aside = detectable if c.p_difference < c.level else ""
    return f"{c.arm} and {c.reference} are equivalent{aside}{_at_look(c)}: {numbers}, {decided})"


def _inconclusive(c: Comparison, metric: str) -> str:
    said = f"{c.arm} against {c.reference} is inconclusive"
    if c.n < 2:
        return f"{said}: {_seeds(c)} cannot give an interval"
    return f"{said}: {_size(c, metric, c.difference, c.level)}, adjusted p {_p(c.p_difference, c)})"


def _asides(c: Comparison) -> Iterator[str]:
    """What a reader must know beside the numbers."""
    for lost, arm in ((c.lost, c.arm), (c.lost_reference, c.reference)):
        if any(lost.values()):
            states = listed([f"{count} {state}" for state, count in lost.items() if count])
            yield f"of {c.seeds} seeds of {arm} {states}"
    if c.withheld:
        yield c.withheld
    elif c.fragile:
        yield f"t alone would call it {c.fragile}, but that rests on normality: {_against_t(c)}"
    elif c.verdict == "inconclusive" and c.n < FEWEST:
        yield f"there is no verdict below {FEWEST} seeds"
    elif c.verdict == "inconclusive":
        yield from _missing(c)
    if c.verdict in ("better", "worse") and c.sign_flip_p > c.level:
        least = _p(c.sign_flip_floor, c).lstrip("= ")
        yield f"by sign flips the adjusted p is {_p(c.sign_flip_p, c).lstrip('= ')} (at least {least})"
    if c.verdict != "inconclusive" and c.n <= _FEW:
        yield f"mind that it rests on {c.n} seeds"
    if c.n >= FEWEST and c.spread_ratio > _WIDE:
        yield f"one of them spreads {_text(c.spread_ratio, 2)} times as much over seeds as the other"
    if c.later is not None:
        span = f"{_text(c.later.low)} to {_text(c.later.high)}"
        yield f"with {c.later.n} seeds the difference is {_text(c.later.value)} ({span})"


def _against_t(c: Comparison) -> str:
    """Which of the companions does not find what t finds."""
    if c.p_skewed >= c.level:
        return f"freed of the differences' skewness the adjusted p is {_p(c.p_skewed, c).lstrip('= ')}"
    return f"by sign flips the adjusted p is {_p(c.sign_flip_p, c).lstrip('= ')}"


def _missing(c: Comparison) -> Iterator[str]:
    """What an inconclusive comparison would need."""
    margin = _text(c.margin)
    if needed := _needed(c.for_equivalence):
        yield f"to be found equivalent, if they do not differ, they need about {needed}"
    if needed := _needed(c.for_difference):
        yield f"to be told apart, if they differ by the margin of {margin}, about {needed}"
    if not math.isnan(c.chance):
        futile = ": stopping for futility would be reasonable" if c.chance < _FUTILE else ""
        yield f"if it goes on so, the planned seeds bring a verdict with a chance of {c.chance:.0%}{futile}"


def _needed(needed: Needed | None) -> str:
    if needed is None or needed.seeds is None:
        return ""
    most = "more than 1,000,000,000" if needed.high is None else f"{needed.high:,}"
    return f"{needed.seeds:,} seeds (from the spread's own uncertainty {needed.low:,} to {most})"


def _size(c: Comparison, metric: str, around: Interval, missed: float) -> str:
    """How large, with which interval, on how many seeds; the bracket stays open."""
    sign = f"{_text(abs(around.value))} {'lower' if around.value < 0 else 'higher'}"
    size = sign if around.value else "no different"
    level = f"{100 * (1 - missed):g} % interval of the difference"
    known = not math.isnan(around.low)
    span = f"{level} {_text(around.low)} to {_text(around.high)}" if known else f"no {level}"
    return f"{metric} {size} ({span}, {_seeds(c)}"


def _p(p: float, c: Comparison) -> str:
    text = p_value(p, c.level)
    return text if text.startswith("<") else f"= {text}"


def _at_look(c: Comparison) -> str:
    return f" at look {c.look}" if c.look > 1 or c.later is not None else ""


def _seeds(c: Comparison) -> str:
    kind = "paired seed" if c.paired else "seed"
    return f"{c.n} {kind}{'' if c.n == 1 else 's'}{'' if c.paired else ' an arm'}"


def _text(number: float, digits: int = 3) -> str:
    """So many significant digits, without an exponent."""
    return np.format_float_positional(number, precision=digits, fractional=False, trim="-")
