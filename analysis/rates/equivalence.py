"""How often "equivalent" is called: where arms are a margin apart, and where they do not differ."""

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np

from analysis.rates import after, before
from analysis.rates.draw import draw, pair_sds
from analysis.rates.table import BEFORE_AFTER, FRESH, SEED, SEEDS, Table
from analysis.stats.intervals import Array

SPREADS: dict[str, tuple[float, ...]] = {
    "equal": (1, 1, 1, 1, 1),
    "the arms x3": (1, 3, 3, 3, 3),
    "the baseline x3": (3, 1, 1, 1, 1),
}
MARGINS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0)
"""in standard errors of a difference"""
SIDES = {"above": (1, 1, 1, 1), "below": (-1, -1, -1, -1), "either": (1, -1, 1, -1)}
"""on which side of the baseline the four arms lie"""
RULES: list[Callable[[Array, Array], Array]] = [
    before.judge,
    lambda x, margin: after.judge(x, margin).verdict,
]


def at_margin(studies: int) -> Table:
    """Any "equivalent" where four arms lie at the margin: the worst margin and side."""
    rows = [
        [noise, name, *_worst(studies, noise, sds)]
        for noise in ("normal", "exponential", "lognormal")
        for name, sds in SPREADS.items()
    ]
    reading = (
        "Studies in which any of four arms that lie exactly a margin away from the baseline is called "
        f"equivalent, paired. Margins of {', '.join(f'{m:g}' for m in MARGINS)} standard errors of a "
        "difference and arms above, below or on either side of the baseline were searched, for each "
        "cell; shown is the worst, on other studies. Goal: 6 at most."
    )
    return Table("Four arms at the margin", reading, ["values", "spread", *BEFORE_AFTER], rows)


def _worst(studies: int, noise: str, sds: tuple[float, ...]) -> Iterator[float]:
    for n, rule in product(SEEDS, RULES):
        few = min(studies, max(1000, studies // 5))
        cells = list(product(MARGINS, SIDES))
        found = [called_equivalent(SEED, few, n, noise, sds, *cell, rule) for cell in cells]
        yield called_equivalent(FRESH, studies, n, noise, sds, *cells[int(np.argmax(found))], rule)


def called_equivalent(
    seed: int,
    studies: int,
    n: int,
    noise: str,
    sds: tuple[float, ...],
    errors: float,
    side: str,
    rule: Callable[[Array, Array], Array],
) -> float:
    """Share of studies with any "equivalent" among arms a margin of so many standard errors away."""
    margin = errors * pair_sds(sds) / n**0.5
    x = draw(seed, studies, n, noise, sds, truth=tuple(margin * SIDES[side]))
    return float((rule(x, margin) == 0).any(-1).mean())


def found(studies: int) -> Table:
    """How often arms that do not differ are called equivalent."""
    sds = SPREADS["equal"]
    rows = []
    for margin in (1.0, 1.5, 2.0, 3.0):
        row: list[str | float] = [f"{margin:g}"]
        for n in SEEDS:
            x = draw(SEED, studies, n, sds=sds)
            row += [float((rule(x, margin * pair_sds(sds)) == 0).mean()) for rule in RULES]
        rows.append(row)
    reading = (
        "Comparisons with four arms that do not differ from the baseline which are called equivalent. "
        "The margin is in standard deviations of a seed's difference; normal values, equal spread, "
        "paired."
    )
    return Table("No difference, called equivalent", reading, ["margin", *BEFORE_AFTER], rows)
