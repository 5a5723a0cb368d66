"""Studies that are looked at more than once: wrong verdicts, what is found, and what is taken back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.rates import after, before
from analysis.rates.draw import draw, pair_sds
from analysis.rates.table import SEED, Table
from analysis.stats import levels
from analysis.stats.intervals import Array

MARGIN = 1.5
"""standard deviations of a seed's difference"""


@dataclass(frozen=True)
class Looks:
    """At what a study was looked at.

    Attributes:
        name: in words.
        seeds: of each look.
        arms: of each look, the baseline not counted.
        planned: seeds of the last planned look.
        before: level of each look by the rule before.
    """

    name: str
    seeds: tuple[int, ...]
    arms: tuple[int, ...]
    planned: int
    before: Sequence[float]

    @property
    def levels(self) -> list[float]:
        """Of each look, by the rule of now."""
        return levels(self.seeds, self.planned)


LOOKS = [
    Looks("7 seeds, one look", (7,), (3,), 7, before.levels(1)),
    Looks("3, 5, 7 seeds, planned", (3, 5, 7), (3, 3, 3), 7, before.levels(3)),
    Looks("7 seeds planned, then 10 and 14", (7, 10, 14), (3, 3, 3), 7, before.levels(3)),
    Looks("arms one by one, 7 seeds", (7, 7, 7, 7), (1, 2, 3, 4), 7, [0.05] * 4),
]
VALUES: dict[str, tuple[str, float]] = {
    "normal": ("normal", 1.0),
    "normal, the arms x3": ("normal", 3.0),
    "lognormal, the arms x3": ("lognormal", 3.0),
}
Rule = Callable[[Array, Array, float], Array]


def after_rule(x: Array, margin: Array, level: float) -> Array:
    """Verdicts of now at one look."""
    return after.judge(x, margin, level).verdict


def seen(looks: Looks, x: Array, margin: Array, rule: Rule, of: Sequence[float]) -> Array:
    """Verdicts [look, study, arm] of each look by itself."""
    made = np.full((len(of), len(x), max(looks.arms)), np.nan)
    for i, (seeds, arms, level) in enumerate(zip(looks.seeds, looks.arms, of, strict=True)):
        made[i, :, :arms] = rule(x[:, :seeds, : arms + 1], margin[:arms], level)
    return made


def staying(verdicts: Array) -> Array:
    """Verdicts [study, arm] where the first that is reached [look, study, arm] stays."""
    first = (~np.isnan(verdicts)).argmax(0)
    stays: Array = np.take_along_axis(verdicts, first[None], 0)[0]
    return stays


def growth(studies: int) -> Table:
    """Each plan of looks, by both rules."""
    rows: list[list[str | float]] = [
        [looks.name, name, *_row(studies, looks, *VALUES[name])] for looks in LOOKS for name in VALUES
    ]
    reading = (
        "Wrong: studies without differences in which any arm is called better or worse at any look, "
        f"without a margin. At the margin: studies in which any arm that lies at the margin ({MARGIN:g} "
        "standard deviations of a seed's difference) is called equivalent at any look. 1 SD, 2 SD: "
        "studies in which the first arm, so much better than the baseline, is called so in the end; a "
        "verdict stays now, and was that of the last look before. Taken back: of the verdicts of "
        "earlier looks (1 SD) those that the last look no longer gave. Paired. Goal: wrong in 5 at "
        "most where looks are planned, 6 where they are not."
    )
    names = ("wrong", "at the margin", "1 SD", "2 SD")
    columns = [f"{name} {when}" for name in names for when in ("before", "after")]
    return Table("Looks", reading, ["looks", "values", *columns, "taken back before"], rows)


def _row(studies: int, looks: Looks, noise: str, sd: float) -> list[float]:
    sds = (1.0, *[sd] * max(looks.arms))
    unit = pair_sds(sds)
    margin, first = MARGIN * unit, np.eye(len(unit))[0]

    def both(truth: Array, margin: Array) -> tuple[Array, Array]:
        x = draw(SEED, studies, looks.seeds[-1], noise, sds, truth=tuple(truth))
        return seen(looks, x, margin, before.judge, looks.before), seen(
            looks, x, margin, after_rule, looks.levels
        )

    wrong = [float(np.isin(verdicts, (-1, 1)).any((0, 2)).mean()) for verdicts in both(0 * unit, 0 * unit)]
    near = [float((verdicts == 0).any((0, 2)).mean()) for verdicts in both(margin, margin)]
    found: list[float] = []
    back = 0.0
    for effect in (2, 1):
        old, new = both(-effect * unit * first, margin)
        found[:0] = [float((old[-1, :, 0] == -1).mean()), float((staying(new)[:, 0] == -1).mean())]
        back = taken_back(old)
    return [*wrong, *near, *found, back]


def taken_back(verdicts: Array) -> float:
    """Of the verdicts [look, study, arm] of earlier looks, the share that the last look does not give."""
    early = staying(verdicts[:-1]) if len(verdicts) > 1 else np.full(verdicts.shape[1:], np.nan)
    reached = ~np.isnan(early)
    return float((reached & (verdicts[-1] != early)).sum() / max(1, reached.sum()))
