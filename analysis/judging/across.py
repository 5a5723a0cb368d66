"""Several studies side by side: each arm's score and verdict on each data set, and whether they agree.

A verdict is one of its own study and so of its data set. What is computed between studies is exploratory.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from analysis import stats
from analysis.judging.judge import judge
from analysis.judging.margin import nothing_learned, withheld
from analysis.numbers import with_n
from analysis.stats.between import Gain, better_low, gain_in_gaps, gain_in_spreads, interaction
from analysis.stats.intervals import Array, interval
from analysis.stats.pairs import Pair, pairs_of
from analysis.study import Study
from experiments.records.definition import ArmRecord
from rope_dit.errors import UserError, check
from rope_dit.registry import POS_EMBEDS
from rope_dit.words import listed

UNITS = {"gap": gain_in_gaps, "spread": gain_in_spreads}
"""in which gains are counted: shares of the baseline's distance from the real floor, its retraining spread"""
_ARMS = [
    *("arm", "study", "data", "label", "metric", "better", "mean", "low", "high", "seeds", "against"),
    *("difference", "difference_low", "difference_high", "verdict"),
]
_INTERACTIONS = [
    *("arm", "against", "unit", "first", "first_gain", "second", "second_gain", "difference", "low", "high"),
]


@dataclass(frozen=True)
class Side:
    """One of the studies.

    Attributes:
        study: the study.
        title: what it is called beside the others: its data set, or its own name where two have one.
        labels: its arms' labels by what they are, such as `rope2d:theta=100`.
        compared: its comparisons, with their verdicts; none while it is partial, withheld or untrained.
    """

    study: Study
    title: str
    labels: dict[str, str]
    compared: Sequence[stats.Comparison]

    @property
    def is_sound(self) -> bool:
        """Whether anything may be concluded from it."""
        return not (self.study.partial or withheld(self.study) or nothing_learned(self.study))

    @cached_property
    def oriented(self) -> pd.DataFrame:
        """Endpoint of its arms, by what they are: arm, seed, value and floor, of which lower are better."""
        rows, better = self.study.endpoint(), self.study.definition.endpoint.better
        names = {label: arm for arm, label in self.labels.items()}
        rows = rows[rows["arm"].isin(names)]
        return pd.DataFrame({
            "arm": rows["arm"].map(names), "seed": rows["seed"],
            "value": better_low(rows["value"].to_numpy(), better),
            "floor": better_low(rows["real_floor"].to_numpy(), better),
        })  # fmt: skip

    def pair(self, arm: str, reference: str) -> Pair:
        """Values of two arms, given by what they are, as the endpoint has them."""
        labels = (self.labels[arm], self.labels[reference])
        paired = [labels] if self.study.is_paired(*labels) else []
        return pairs_of(self.study.endpoint(), [labels], paired)[0]

    def gain(self, arm: str, baseline: str, unit: str) -> Gain:
        """How much better than the baseline an arm is, in units of `UNITS`."""
        pair, better = self.pair(arm, baseline), self.study.definition.endpoint.better
        one, other = (better_low(values, better) for values in pair.values)
        if unit == "spread":
            return gain_in_spreads(one, other, pair.paired)
        return gain_in_gaps(one, other, self._floor(baseline, pair, arm), pair.paired)

    def _floor(self, baseline: str, pair: Pair, arm: str) -> Array:
        """What real pictures score, for each seed of the baseline that the pair has."""
        rows = self.oriented[self.oriented["arm"] == baseline].sort_values("seed")
        if pair.paired:
            rows = rows[rows["seed"].isin(self.oriented.loc[self.oriented["arm"] == arm, "seed"])]
        return rows["floor"].to_numpy(dtype=np.float64)


@dataclass(frozen=True)
class Across:
    """Studies side by side.

    Attributes:
        sides: the studies, in the order that was asked for.
        names: what each arm is called, by what it is, in the order in which they come.
        baseline: what the gains are counted from: the baseline of the first study; by what it is.
        left_out: a sentence for each arm that is left out.
    """

    sides: Sequence[Side]
    names: dict[str, str]
    baseline: str
    left_out: Sequence[str] = ()

    @cached_property
    def arms(self) -> pd.DataFrame:
        """A row an arm and study: its endpoint, its difference from that study's baseline, the verdict.

        Columns: arm; study, data; label (there); metric, better; mean, low, high, seeds: over seeds with the
        95 % t interval; against, difference, difference_low, difference_high: arm minus that study's
        baseline, 95 %; verdict: '' where none stands.
        """
        found = [_arm(side, arm, name) for arm, name in self.names.items() for side in self.sides]
        return pd.DataFrame([row for row in found if row], columns=_ARMS)

    @cached_property
    def interactions(self) -> pd.DataFrame:
        """Gains over the baseline in two studies, and their difference: a row a unit, pair and arm.

        Columns: arm, against; unit (see UNITS); first, first_gain, second, second_gain: studies' titles and
        gains, above 0 where the arm is better; difference, low, high: first minus second, 95 %. None of
        studies from which nothing may be concluded, and where no gain can be had.
        """
        found = []
        for (first, second), unit in _products(self._sound, UNITS):
            for arm in self._common(first, second):
                gains = [side.gain(arm, self.baseline, unit) for side in (first, second)]
                apart = interaction(*gains)
                row = (self.names[arm], self.names[self.baseline], unit, first.title, gains[0].value)
                found.append((*row, second.title, gains[1].value, apart.value, apart.low, apart.high))
        frame = pd.DataFrame(found, columns=_INTERACTIONS)
        return frame[frame["difference"].notna()].reset_index(drop=True)

    @cached_property
    def taus(self) -> pd.DataFrame:
        """Kendall's tau of the ranking of the common arms: first, second, arms (how many), tau, low, high.

        None of studies from which nothing may be concluded.
        """
        rng, found = np.random.default_rng(0), []
        for first, second in combinations(self._sound, 2):
            tau = stats.tau_between(first.oriented, second.oriented, rng)
            found.append((first.title, second.title, tau.n, tau.value, tau.low, tau.high))
        return pd.DataFrame(found, columns=["first", "second", "arms", "tau", "low", "high"])

    @property
    def _sound(self) -> list[Side]:
        return [side for side in self.sides if side.is_sound]

    def _common(self, first: Side, second: Side) -> list[str]:
        """Arms, but for the baseline, that both have beside the baseline."""
        there = first.labels.keys() & second.labels.keys()
        return [arm for arm in self.names if arm in there - {self.baseline} and self.baseline in there]


def across(studies: Sequence[Study]) -> Across:
    """Put studies side by side.

    Raises UserError for fewer than two, and for one that is given twice.
    """
    names = [study.name for study in studies]
    check(len({*names}) == len(names), "STUDY", " ".join(names), "each study once")
    check(len(names) > 1, "STUDY", " ".join(names) or "none", "two studies or more")
    data = [study.definition.data for study in studies]
    sides, left_out = [], []
    for study in studies:
        labels: dict[str, str] = {}
        for arm in study.definition.arms:
            if labels.setdefault(what(arm), arm.label) != arm.label:
                left_out.append(
                    f"{arm.label} of {study.name} is left out, as it is {labels[what(arm)]} again."
                )
        title = study.definition.data if data.count(study.definition.data) == 1 else study.name
        sides.append(Side(study, title, labels, judge(study)))
    called = _names(sides)
    first = studies[0].definition
    [baseline] = [what(arm) for arm in first.arms if arm.label == first.baseline]
    return Across(sides, called, baseline, left_out)


def what(arm: ArmRecord) -> str:
    """What an arm is, however it is called: the canonical spec and the settings in which it differs."""
    try:
        spec = POS_EMBEDS.canonical(arm.spec, stored=True)
    except UserError:  # of a plug-in that is not here
        spec = arm.spec
    return "; ".join([spec, *(f"{key}={value}" for key, value in sorted(arm.overrides.items()))])


def _names(sides: Sequence[Side]) -> dict[str, str]:
    """Arms by what they are, each called as in the first study that has it, or by what it is."""
    found: dict[str, str] = {}
    for side in sides:
        for arm, label in side.labels.items():
            found.setdefault(arm, arm if label in found.values() else label)
    return found


def _arm(side: Side, arm: str, name: str) -> dict[str, Any]:
    """A row of `Across.arms`; empty where the study has no such arm."""
    if arm not in side.labels:
        return {}
    study, label = side.study, side.labels[arm]
    definition, values = study.definition, study.endpoint()
    end = definition.endpoint
    own = list(values.loc[values["arm"] == label, "value"])
    mean = stats.mean_interval(own) if own else stats.Interval(np.nan, np.nan, np.nan, 0)
    row = {
        "arm": name, "study": study.name, "data": definition.data, "label": label,
        "metric": with_n(end.metric, end.metric, end.n), "better": end.better,
        "mean": mean.value, "low": mean.low, "high": mean.high, "seeds": mean.n, "against": "", "verdict": "",
    }  # fmt: skip
    if label == definition.baseline:
        return row
    [baseline] = [what(one) for one in definition.arms if one.label == definition.baseline]
    pair = side.pair(arm, baseline)
    apart = interval(pair.contrast, 0.95, pair.n)
    found = [c.verdict for c in side.compared if c.labels == pair.labels]
    return row | {
        "against": definition.baseline, "difference": apart.value, "difference_low": apart.low,
        "difference_high": apart.high, "verdict": listed(found),
    }  # fmt: skip


def _products(sides: Sequence[Side], units: dict[str, Any]) -> Iterator[tuple[tuple[Side, Side], str]]:
    yield from ((pair, unit) for pair in combinations(sides, 2) for unit in units)
