"""Which arm is better: verdicts on the primary endpoint of a study. The unit is the training seed.

A family is all comparisons of one call. docs/statistics.md says how verdicts are reached, and docs/rates.md,
which `python -m analysis.rates` makes, how often they are wrong and what they find.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis.stats import sign_flips
from analysis.stats.checks import check_values
from analysis.stats.intervals import Interval, interval, p_values
from analysis.stats.pairs import Labels, Pair, pairs_of, stacked
from analysis.stats.power import Needed, chance, seeds_needed
from analysis.stats.verdicts import evidence, fragile, verdicts
from rope_dit.errors import UserError, nearest

Lost = Mapping[str, int]
"""seeds without a value, by what became of them"""
_LOST = "an arm that lost a seed is called neither better nor equivalent"
CALLED = ("better", "worse", "equivalent")
"""the verdicts that stay once they are reached"""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One arm against a reference, on one endpoint.

    Attributes:
        arm, reference: labels.
        n: seeds used: pairs, or the smaller group where unpaired.
        paired: whether differences were taken seed by seed.
        difference: arm minus reference, in the endpoint's units, with its plain interval of level 1 - `level`
            (95 % at an only look). It is not widened for the family: the adjusted p-values carry that.
        equivalence: the same at level 1 - 2 * `share`, which lies inside the margin of what is equivalent.
        median: of the paired differences; of unpaired arms the difference of their medians.
        margin: difference too small to matter, absolute, in the endpoint's units.
        verdict: better, worse, equivalent, inconclusive, exploratory (of no family) or same model.
        by_more: whether better or worse is by more than the margin.
        fragile: better or worse where t alone calls it so, and that rests on normality; else ''.
        withheld: why what the numbers say is not called; '' where nothing is held back.
        p: raw, by t, of no difference; nan below two seeds.
        p_difference, p_skewed, p_beyond, p_inside, sign_flip_p: adjusted for the family, see
            `verdicts.Evidence`; nan outside of a family and where there is none.
        sign_flip_floor: the least that the sign-flip p can be, m * 2**(1 - n) and at most 1; nan unpaired.
        spread_ratio: of the larger standard deviation over seeds to the smaller.
        gain: what pairing was worth, see `pairing_gain`; None where unpaired.
        level, share: of this look, see `looks.levels`, and of it for this comparison.
        look: at which the verdict was reached, or the last; counts from 1.
        seeds: that each arm should have.
        lost, lost_reference: seeds of either without a value, by what became of them.
        later: the difference at the last look, where the verdict was reached before.
        for_equivalence, for_difference: seeds that a verdict needs: equivalent where the arms do not differ,
            better or worse where they differ by the margin. None where a verdict stands or it cannot be said.
        chance: of a verdict at the planned seeds if it goes on so; nan where no more are planned.
    """

    arm: str
    reference: str
    n: int
    paired: bool
    difference: Interval
    equivalence: Interval
    median: float
    margin: float
    verdict: str
    by_more: bool = False
    fragile: str = ""
    withheld: str = ""
    p: float = math.nan
    p_difference: float = math.nan
    p_skewed: float = math.nan
    p_beyond: float = math.nan
    p_inside: float = math.nan
    sign_flip_p: float = math.nan
    sign_flip_floor: float = math.nan
    spread_ratio: float = math.nan
    gain: Interval | None = None
    level: float = 0.05
    share: float = 0.05
    look: int = 1
    seeds: int = 0
    lost: Lost = field(default_factory=dict)
    later: Interval | None = None
    lost_reference: Lost = field(default_factory=dict)
    for_equivalence: Needed | None = None
    for_difference: Needed | None = None
    chance: float = math.nan

    @property
    def labels(self) -> Labels:
        """Arm and reference."""
        return self.arm, self.reference


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What holds for all comparisons of a study.

    Attributes:
        paired: comparisons whose differences are taken by common seed (paired t); the others' by all seeds
            (Welch's t, tested with the degrees of freedom of the smaller group).
        margins: of each reference, absolute; nan where there is none.
        better: 'lower' or 'higher'.
        level: of this look for the whole family.
        look: which it is, counted from 1.
        seeds: that each arm has at this look, with or without a value.
        planned: seeds an arm at the last planned look; 0 where it does not matter.
        lost: seeds of each arm that have no value, by what became of them.
        too_far: references to which nothing is called equivalent, and why.
        same: sets of arms that are one model.
    """

    paired: Collection[Labels] = ()
    margins: Mapping[str, float]
    better: str = "lower"
    level: float = 0.05
    look: int = 1
    seeds: int = 0
    planned: int = 0
    lost: Mapping[str, Lost] = field(default_factory=dict)
    too_far: Mapping[str, str] = field(default_factory=dict)
    same: Collection[frozenset[str]] = ()

    def __post_init__(self) -> None:
        if self.better not in ("lower", "higher"):
            hint = nearest(self.better, ["lower", "higher"])
            raise UserError(f"better is 'lower' or 'higher'; got '{self.better}'.{hint}")
        for reference, margin in self.margins.items():
            if margin < 0 or margin == math.inf:
                raise UserError(f"margins are absolute and at least 0; got {margin:g} for {reference}.")
        if not 0 < self.level < 0.5:
            raise UserError(f"the level lies between 0 and 0.5, such as 0.05; got {self.level:g}.")

    def margin(self, pair: Pair) -> float:
        """The margin around a pair's reference; nan where there is none."""
        return self.margins.get(pair.reference, math.nan)


def compare(
    values: pd.DataFrame, family: Sequence[Labels], rules: Rules, explored: Sequence[Labels] = ()
) -> list[Comparison]:
    """Compare arms on one endpoint.

    The first of these that holds is the verdict of a comparison of the family. Same model: said by the rules.
    Equivalent: the difference lies inside the margin, p_inside below the level. Better or worse: p_difference
    is, and neither skewness nor sign flips speak against it. Else, and below three seeds, inconclusive.

    Scores of surviving seeds flatter an arm. So one that lost a seed is not found better, nor is the other
    found worse than it, and neither is equivalent.

    Args:
        values: columns arm, seed, value; one row an arm and seed. A missing row is a seed without a score.
        family: (arm, reference); an arm without rows gets a verdict of inconclusive.
        rules: see there.
        explored: more comparisons, which get intervals and no verdict.

    Raises:
        UserError: a value that is not finite, two rows of one arm and seed, a missing column, or a comparison
            of an arm with itself.
    """
    for arm, reference in (*family, *explored):
        if arm == reference:
            raise UserError(f"'{arm}' is compared with itself; give two different arms.")
    check_values(values, ["arm", "seed"])
    pairs = pairs_of(values, family, rules.paired)
    found = {c.labels: c for c in _judged([pair for pair in pairs if not _is_same(pair, rules)], rules)}
    alike = {p.labels: _told(p, rules, "same model", rules.level) for p in pairs if _is_same(p, rules)}
    others = pairs_of(values, explored, rules.paired)
    return [
        *({**found, **alike}[labels] for labels in family),
        *(_told(pair, rules, "exploratory", rules.level) for pair in others),
    ]


def _judged(pairs: Sequence[Pair], rules: Rules) -> list[Comparison]:
    """The comparisons of a family."""
    if not pairs:
        return []
    contrast, n = stacked([pair.contrast for pair in pairs]), np.array([pair.n for pair in pairs])
    margin = np.array([rules.margin(pair) for pair in pairs])
    flipped = [pair.paired and pair.n > 0 for pair in pairs]
    floor = np.where(flipped, sign_flips.floor(n, len(pairs)), np.nan)
    found = evidence(contrast, margin, np.array([pair.flips for pair in pairs]))
    sides = verdicts(contrast, found, rules.level, floor, n)
    rests = fragile(found, rules.level, floor) & np.isnan(sides)
    share = rules.level / max(1, int((found.beyond >= rules.level).sum()))
    judged = []
    for i, pair in enumerate(pairs):
        p = {name: float(values[i]) for name, values in vars(found).items()}
        verdict, withheld = _verdict(pair, rules, float(sides[i]))
        judged.append(_told(
            pair, rules, verdict, share, withheld=withheld,
            fragile=_called(float(pair.contrast.difference), rules) if rests[i] else "",
            by_more=verdict in ("better", "worse") and p["beyond"] < rules.level,
            p=float(p_values(pair.contrast)), p_difference=p["difference"], p_skewed=p["skewed"],
            p_beyond=p["beyond"], p_inside=p["inside"], sign_flip_p=p["flips"],
            sign_flip_floor=float(floor[i]),
            **(_outlook(pair, rules, share) if verdict == "inconclusive" else {}),
        ))  # fmt: skip
    return judged


def _verdict(pair: Pair, rules: Rules, side: float) -> tuple[str, str]:
    """The verdict, and why it is not what the numbers say."""
    lost, lost_reference = (any(rules.lost.get(arm, {}).values()) for arm in (pair.arm, pair.reference))
    if math.isnan(side):
        return "inconclusive", ""
    if side == 0:
        if lost or lost_reference:
            return "inconclusive", _LOST
        why = rules.too_far.get(pair.reference, "")
        return ("inconclusive" if why else "equivalent"), why
    called = _called(side, rules)
    if lost if called == "better" else lost_reference:
        return "inconclusive", _LOST
    return called, ""


def _called(difference: float, rules: Rules) -> str:
    return "better" if (difference > 0) == (rules.better == "higher") else "worse"


def _outlook(pair: Pair, rules: Rules, share: float) -> dict[str, Needed | float | None]:
    """What a verdict would take."""
    if pair.n < 2:
        return {}
    error, df = float(pair.contrast.error), float(pair.contrast.df)
    sd = error * math.sqrt(pair.n)
    needed = {
        name: seeds_needed(sd, df, rules.margin(pair), share, name == "for_equivalence")
        for name in ("for_equivalence", "for_difference")
    }
    left = chance(pair.n, rules.planned, float(pair.contrast.difference), sd, rules.margin(pair), share)
    return {**needed, "chance": left}


def _told(pair: Pair, rules: Rules, verdict: str, share: float, **more: object) -> Comparison:
    """A comparison with its intervals."""
    return Comparison(
        arm=pair.arm, reference=pair.reference, n=pair.n, paired=pair.paired,
        difference=interval(pair.contrast, 1 - rules.level, pair.n),
        equivalence=interval(pair.contrast, 1 - 2 * share, pair.n),
        median=pair.median, margin=rules.margin(pair), verdict=verdict, spread_ratio=pair.spread_ratio,
        gain=pair.gain,
        level=rules.level, share=share, look=rules.look, seeds=rules.seeds, lost=rules.lost.get(pair.arm, {}),
        lost_reference=rules.lost.get(pair.reference, {}), **more,  # type: ignore[arg-type]
    )  # fmt: skip


def _is_same(pair: Pair, rules: Rules) -> bool:
    return any({pair.arm, pair.reference} <= group for group in rules.same)
