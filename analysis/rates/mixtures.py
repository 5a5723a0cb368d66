"""How often any verdict of a study is false, where some arms differ and others do not."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import combinations_with_replacement

import numpy as np

from analysis.rates import after, before
from analysis.rates.draw import Bools, draw
from analysis.rates.table import FRESH, SEED, SEEDS, Table
from analysis.stats.intervals import Array

UNIT = 2**0.5
"""standard deviation of a seed's difference of arms whose own is 1"""
KINDS = ("null", "margin", "2 SD", "far")
"""what is true of an arm: no difference, exactly the margin, two standard deviations, or thirty"""
MARGINS = (1.5, 3.0, 4.0)
"""in standard errors of a difference"""
RULES = ("before", "separate", "after")


@dataclass(frozen=True)
class Mixture:
    """The arms of a study, and its margin.

    Attributes:
        kinds: of each arm but the baseline, of KINDS or as "1 SD".
        errors: margin in standard errors of a difference.
        either: whether arms at the margin lie on either side of the baseline in turn, or all above.
    """

    kinds: tuple[str, ...]
    errors: float
    either: bool

    def __str__(self) -> str:
        counts = ", ".join(f"{self.kinds.count(kind)} {kind}" for kind in dict.fromkeys(self.kinds))
        return f"{counts}; margin {self.errors:g} SE{', either side' if self.either else ''}"

    def margin(self, n: int) -> float:
        """Absolute, with n seeds."""
        return self.errors * UNIT / math.sqrt(n)

    def truth(self, n: int) -> tuple[float, ...]:
        """Differences to the baseline."""
        side = [(-1.0) ** (self.either * i) for i in range(len(self.kinds))]
        sizes = {"null": 0.0, "margin": self.margin(n), "far": -30 * UNIT}
        sizes |= {f"{sds} SD": -sds * UNIT for sds in (1, 2, 4)}
        return tuple(
            sizes[kind] * (way if kind == "margin" else 1) for kind, way in zip(self.kinds, side, strict=True)
        )


def mixtures(arms: int) -> Iterator[Mixture]:
    """All of so many arms, the baseline not counted."""
    for kinds in combinations_with_replacement(KINDS, arms):
        for errors in MARGINS if set(kinds) != {"null"} else MARGINS[:1]:
            for either in (False, True) if kinds.count("margin") > 1 else (False,):
                yield Mixture(kinds, errors, either)


def false_verdicts(
    seed: int, studies: int, n: int, mixture: Mixture, rules: tuple[str, ...] = RULES
) -> dict[str, float]:
    """Share of studies with any false verdict, by rule.

    False is a side of 0 that is not the true one, equivalent of a difference of the margin or more, and "by
    more than the margin" of a smaller one.
    """
    truth, margin = np.array(mixture.truth(n)), mixture.margin(n)
    x = draw(seed, studies, n, sds=(1.0,) * (len(truth) + 1), truth=tuple(truth))
    made = {rule: _wrong(rule, x, margin, truth) for rule in rules}
    return {rule: float(wrong.any(-1).mean()) for rule, wrong in made.items()}


def _wrong(rule: str, x: Array, margin: float, truth: Array) -> Bools:
    """Which verdicts [study, arm] are false."""
    far = abs(truth) >= margin * (1 - 1e-9)
    if rule == "separate":
        differs, inside = before.separate(x, margin)
        side = np.sign((x[..., 1:] - x[..., :1]).mean(1))
        wrong: Bools = (differs & (side != np.sign(truth))) | (inside & far)
        return wrong
    if rule == "before":
        return wrong_of(before.judge(x, margin), truth, far)
    judged = after.judge(x, margin)
    return wrong_of(judged.verdict, truth, far) | (judged.more & ~far)


def wrong_of(verdict: Array, truth: Array, far: Bools) -> Bools:
    """Sides [study, arm] of 0 that are not the true ones, and equivalents of arms that are `far`."""
    wrong: Bools = (np.isin(verdict, (-1, 1)) & (verdict != np.sign(truth))) | ((verdict == 0) & far)
    return wrong


def any_false(studies: int) -> Table:
    """The worst mixture of each number of arms and seeds, for each rule."""
    rows = [[str(arms), str(n), *_worst(studies, arms, n)] for arms in range(2, 7) for n in SEEDS]
    reading = (
        "Studies with any false verdict: a side of 0 that is not the true one, equivalent of a "
        "difference of the margin or more, by more than the margin of a smaller one. Each arm but the "
        "baseline does not differ (null), differs by exactly the margin, is 2 SD better (standard "
        "deviations of a seed's difference), or better by far; normal values, paired. For each rule "
        "the worst mixture was searched, and measured on other studies; the last column is that of the "
        "rule of now. Separate: two families of Holm's, for differences and for equivalence. Goal: 6 "
        "at most."
    )
    return Table("Mixtures", reading, ["arms", "n", *RULES, "worst mixture"], rows)


def _worst(studies: int, arms: int, n: int) -> Iterator[str | float]:
    all_, few = list(mixtures(arms)), min(studies, max(500, studies // 10))
    tried = [false_verdicts(SEED, few, n, mixture) for mixture in all_]
    worst = {rule: all_[int(np.argmax([shares[rule] for shares in tried]))] for rule in RULES}
    measure = partial(false_verdicts, FRESH, studies, n)
    yield from (measure(worst[rule], (rule,))[rule] for rule in RULES)
    yield str(worst["after"])
