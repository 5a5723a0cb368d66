"""Whether the seeds that are said to be needed buy the verdict."""

import numpy as np

from analysis.rates import after
from analysis.rates.draw import draw
from analysis.rates.table import SEED, Table
from analysis.stats.power import seeds_needed
from analysis.stats.verdicts import differs

UNIT = 2**0.5
SIZES = (0.75, 1.0, 1.5, 2.0, 3.0)
"""in standard deviations of a seed's difference"""


def needed(studies: int) -> Table:
    """Verdicts at the seeds that `seeds_needed` gives for a spread that is known."""
    rows: list[list[str | float]] = []
    for size in SIZES:
        row: list[str | float] = [f"{size:g}"]
        for equivalence in (True, False):
            n = seeds_for(size, equivalence)
            row += [str(n), *reached(studies, n, size, equivalence)]
        rows.append(row)
    reading = (
        "Comparisons of three arms with the baseline that reach the verdict at the seeds that are said "
        "to be needed for it, were the spread known: equivalent where the arms do not differ, and "
        "better or worse of one that differs by the margin, which is given in standard deviations of a "
        "seed's difference. By t: what t alone would find, without the say of skewness and sign flips. "
        "Normal values, paired. Goal: 80."
    )
    columns = ["margin", "seeds", "equivalent", "seeds", "better or worse", "by t"]
    return Table("Seeds needed", reading, columns, rows)


def seeds_for(size: float, equivalence: bool) -> int:
    """Seeds that three comparisons need for a margin of so many standard deviations."""
    found = seeds_needed(UNIT, 1e9, size * UNIT, 0.05 / 3, equivalence)
    assert found is not None, "a spread and a margin are given"
    assert found.seeds is not None, "the margin is large"
    return found.seeds


def reached(studies: int, n: int, size: float, equivalence: bool) -> list[float]:
    """Share with "equivalent"; or with better or worse, and with it by t alone."""
    margin = size * UNIT
    x = draw(SEED, studies, n, truth=0.0 if equivalence else (margin, 0.0, 0.0))
    judged = after.judge(x, margin)
    if equivalence:
        return [float((judged.verdict == 0).mean())]
    return [float(np.mean(sides)) for sides in (judged.verdict[:, 0] == 1, differs(judged.found, 0.05)[:, 0])]
