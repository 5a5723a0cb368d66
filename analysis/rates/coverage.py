"""How often 95 % intervals hold the truth."""

import numpy as np

from analysis.rates.differences import SPREADS
from analysis.rates.draw import contrasts, draw
from analysis.rates.table import SEED, Table
from analysis.stats.intervals import Array, Contrast, half_widths, paired_contrast

SEEDS = (3, 5, 7, 10, 20)


def coverage(studies: int) -> Table:
    """Intervals of differences and of means."""
    rows: list[list[str | float]] = []
    for test in ("paired", "Welch"):
        for name in ("equal", "one arm x3", "the baseline x3"):
            rows.append(
                [f"difference, {test}", f"normal, {name}", *_differences(studies, name, test == "paired")]
            )
    for noise in ("normal", "lognormal", "exponential", "t3"):
        rows.append(["mean", noise, *(covered(mean(noise, studies, n), 0.0) for n in SEEDS)])
    reading = (
        "Intervals of 95 % that hold the truth: of the difference of the first arm to the baseline, and of "
        'the mean of an arm. Below 92 the words "normal-theory" stand beside it.'
    )
    return Table("Coverage", reading, ["interval", "values", *(f"n = {n}" for n in SEEDS)], rows)


def _differences(studies: int, name: str, paired: bool) -> list[float]:
    drawn = [draw(SEED, studies, n, sds=SPREADS[name], shared=3.0 if paired else 0.0) for n in SEEDS]
    return [covered(contrasts(x[..., :2], paired), 0.0) for x in drawn]


def mean(noise: str, studies: int, n: int) -> Contrast:
    """The mean of an arm whose true one is 0, as `mean_interval` takes it."""
    x: Array = draw(SEED, studies, n, noise, (1.0,), shared=0.0)[..., 0] - 100
    return paired_contrast(x, np.zeros_like(x))


def covered(contrast: Contrast, truth: float, level: float = 0.95) -> float:
    """Share of intervals that hold the truth."""
    return float((abs(contrast.difference - truth) < half_widths(contrast, level)).mean())
