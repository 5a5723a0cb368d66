"""Every arm against every other."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from analysis import stats
from analysis.figures.base import FIGURES, Material, StudyFigure
from analysis.figures.drawing.palette import figure, note, sentence, style
from analysis.numbers import decimals_of, half_width


@FIGURES.register("pairs")
class Pairs(StudyFigure):
    """Mean difference of every two arms, with its interval."""

    title = "All pairs of arms"
    section = "figures"
    place = 50
    exploratory = True

    def caption(self, material: Material) -> str:
        """What the figure shows, for readers."""
        return (
            "Row minus column for every two arms, with its 95 % interval. Exploratory: not adjusted for "
            "the number of pairs; no verdict stands on it."
        )

    def draw(self, material: Material) -> Figure | None:
        """Return the figure, or None where there is nothing to draw."""
        values = material.study.endpoint()
        if values["arm"].nunique() < 2:
            return None
        return all_pairs(values, material.study.is_paired, material.end.better)


def all_pairs(values: pd.DataFrame, paired: Callable[[str, str], bool], better: str = "lower") -> Figure:
    """Mean difference of each row's arm from each column's, with its interval. Exploratory: no family.

    Args:
        values: columns arm, seed, value.
        paired: whether the seeds of two arms are paired, such as `Study.is_paired`.
        better: 'lower' or 'higher'; blue is where the row is better.
    """
    arms = [str(arm) for arm in values.groupby("arm")["value"].mean().sort_values().index]
    if len(arms) < 2:
        return sentence("No pairs: the study has scores of fewer than two arms.")
    arms = arms if better == "lower" else arms[::-1]
    difference = pd.DataFrame(np.nan, arms, arms)
    text = pd.DataFrame("", arms, arms)
    for row, column in ((r, c) for r in arms for c in arms if r != c):
        if (found := _difference(values, row, column, paired(row, column))) is not None:
            difference.loc[row, column] = found.value
            text.loc[row, column] = _interval_text(found)
    top = float(np.nanmax(np.abs(difference.to_numpy()), initial=0)) or 1.0
    with style():
        made = figure(2.2 + 1.15 * len(arms), 1.5 + 0.62 * len(arms))
        ax = made.subplots()
        tones = sns.diverging_palette(245, 25, s=75, l=72, as_cmap=True)
        sns.heatmap(
            difference, ax=ax, vmin=-top, vmax=top, cmap=tones if better == "lower" else tones.reversed(),
            annot=text, fmt="", annot_kws={"size": 8}, cbar=False,
        )  # fmt: skip
        ax.grid(visible=False)
        ax.set_title("Row minus column, blue where the row is better")
        ax.tick_params(length=0)
        ax.tick_params(axis="y", rotation=0)
        note(made, "Exploratory: intervals are not adjusted for the number of pairs.")
    return made


def _difference(values: pd.DataFrame, row: str, column: str, paired: bool) -> stats.Interval | None:
    """Interval of row - column, or None where paired arms have no seed in common."""
    mine = values[values["arm"].isin([row, column])]
    if paired and mine["seed"].is_unique:  # no seed has both
        return None
    pair = (row, column)
    rules = stats.Rules(paired=[pair] if paired else (), margins={})
    return stats.compare(mine, (), rules, explored=[pair])[0].difference


def _interval_text(found: stats.Interval) -> str:
    """Difference and both ends, with the digits that the interval's width gives them.

    >>> _interval_text(stats.Interval(-11.31, -11.38, -11.24, 7))
    '-11.310\\n-11.380 to -11.240'
    >>> _interval_text(stats.Interval(-0.2451, math.nan, math.nan, 1))
    '-0.2451'
    """
    decimals = decimals_of(half_width(found), found.value)
    value, low, high = (f"{number:+.{decimals}f}" for number in (found.value, found.low, found.high))
    return f"{value}\n{low} to {high}" if math.isfinite(found.low) else value
