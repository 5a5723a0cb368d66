"""How often a difference is called: where there is none, and where one arm is better."""

from collections.abc import Iterator

import numpy as np

from analysis.rates import after, before
from analysis.rates.draw import EQUAL, draw, pair_sds
from analysis.rates.table import BEFORE_AFTER, SEED, SEEDS, Table

SPREADS: dict[str, tuple[float, ...]] = {
    "equal": EQUAL,
    "one arm x3": (1, 3, 1, 1),
    "all arms but the baseline x3": (1, 3, 3, 3),
    "the baseline x3": (3, 1, 1, 1),
    "two arms, one x3": (1, 3),
}
"""standard deviations of the arms over seeds, the baseline first"""


def null(studies: int) -> Table:
    """Any better or worse in studies whose arms do not differ."""
    kinds = [("paired", noise) for noise in ("normal", "lognormal", "t3")] + [("Welch", "normal")]
    rows: list[list[str | float]] = [
        [f"{noise}, {test}", name, *_any_side(studies, noise, sds, test == "paired")]
        for test, noise in kinds
        for name, sds in SPREADS.items()
    ]
    reading = (
        "Studies of four arms (two in the last row of each kind) that do not differ, in which any is "
        "called better or worse than the baseline, without a margin. Goal: 6 at most."
    )
    return Table("No difference", reading, ["values", "spread", *BEFORE_AFTER], rows)


def _any_side(studies: int, noise: str, sds: tuple[float, ...], paired: bool) -> Iterator[float]:
    for n in SEEDS:
        x = draw(SEED, studies, n, noise, sds, shared=3.0 if paired else 0.0)
        for verdict in (before.judge(x, 0.0, paired=paired), after.judge(x, 0.0, paired=paired).verdict):
            yield float(np.isin(verdict, (-1, 1)).any(-1).mean())


def power(studies: int) -> Table:
    """One of four arms is better."""
    rows: list[list[str | float]] = []
    for name in ("equal", "one arm x3", "the baseline x3"):
        sds = SPREADS[name]
        unit = float(pair_sds(sds)[0])
        for effect in (1, 2, 4):
            for n in SEEDS:
                x = draw(SEED, studies, n, sds=sds, truth=(-effect * unit, 0.0, 0.0))
                old = float((before.judge(x, unit / 2)[:, 0] == -1).mean())
                new = float((after.judge(x, unit / 2).verdict[:, 0] == -1).mean())
                rows.append([name, str(effect), str(n), old, new, new / old])
    reading = (
        "Studies in which the one of four arms that is better is called so. The difference is in "
        "standard deviations of a seed's difference; normal values, paired, the margin half a standard "
        "deviation. The last column is the new share in percent of the old one. Goal: 80 at least."
    )
    columns = ["spread", "difference", "n", "before", "after", "of before"]
    return Table("One arm is better", reading, columns, rows)
