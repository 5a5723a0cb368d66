"""Whether 2D RoPE keeps spatial consistency better: all measurements on one scale."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from analysis.figures.base import FIGURES, Material, StudyFigure
from analysis.figures.drawing.palette import INK, Palette, arm_colors, figure, note, sentence, style
from analysis.figures.examples.evidence import example_evidence
from analysis.judging.evidence import TRAINED, evidence

_FAR = 12.0  # standard deviations, from which on the axis is logarithmic beyond 3 of them
_TICKS = (0, 1, 3, 10, 30, 100, 300, 1000)
_KEYS = ["title", "tokens", "extrapolation"]


@FIGURES.register("evidence")
class Evidence(StudyFigure):
    """Every measurement of spatial consistency by arm, as a difference in the baseline's spreads."""

    title = "All measurements on one scale"
    section = "evidence"
    place = 10
    exploratory = True

    def caption(self, material: Material) -> str:
        """What the figure shows, for readers."""
        baseline = material.study.definition.baseline
        return (
            f"Difference of each arm from {baseline} with its 95 % interval, in standard deviations of "
            f"{baseline} over its training seeds; right of 0 the arm is better, or its error lower. At other "
            "grids of tokens one measurement stands for all. Intervals are not corrected for their number."
        )

    def draw(self, material: Material) -> Figure | None:
        """Return the figure, or None where there is nothing to draw."""
        found = scaled(evidence(material.study))
        if found.empty:
            return None
        return forest_of(found, material.study.arms, material.palette)

    def example(self) -> Material:
        """A study with all measurements."""
        return example_evidence()


def scaled(found: pd.DataFrame) -> pd.DataFrame:
    """What can be drawn of `evidence`: differences from the baseline in its spreads, better ones positive.

    At each other grid of tokens the first metric alone. Columns _KEYS, arm, value, low, high; where the
    baseline has no spread or there is no interval nothing is drawn.
    """
    baselines = {*found.loc[found["reference"] == "", "arm"]}
    rows = found[found["reference"].isin(baselines) & (found["unit"] > 0) & found["difference_low"].notna()]
    first = rows.groupby(["tokens", "extrapolation"], sort=False)["metric"].transform("first")
    rows = rows[(rows["tokens"] == TRAINED) | (rows["metric"] == first)]
    turn = np.where(rows["better"] == "higher", 1.0, -1.0) / rows["unit"]
    ends = np.sort(rows[["difference_low", "difference_high"]].mul(turn, axis=0).to_numpy(), axis=1)
    value = rows["difference"] * turn
    return rows.assign(value=value, low=ends[:, 0], high=ends[:, 1])[[*_KEYS, "arm", "value", "low", "high"]]


def forest_of(found: pd.DataFrame, arms: Sequence[str], palette: Palette = None) -> Figure:
    """A line a measurement and arm, from top to bottom.

    Args:
        found: what `scaled` gave.
        arms: in the order of a measurement's lines.
        palette: colours by arm.
    """
    if found.empty:
        return sentence("No differences: one arm, one seed, or nothing measured.")
    shown = [arm for arm in arms if arm in {*found["arm"]}]
    tints, groups = arm_colors(shown, palette), list(found.groupby(_KEYS, sort=False))
    with style():
        made = figure(7.4, 1.3 + len(groups) * max(0.34, 0.09 * len(shown)))
        ax = made.subplots()
        for y, (_, own) in enumerate(groups):
            for row in own.to_dict("records"):
                at = y + 0.8 * ((shown.index(row["arm"]) + 0.5) / len(shown) - 0.5)
                ax.plot([row["low"], row["high"]], [at, at], color=tints[row["arm"]], lw=1.4)
                ax.plot(row["value"], at, "o", color=tints[row["arm"]], ms=4.5)
        ax.axvline(0, color=INK, lw=1)
        far = float(found[["low", "high"]].abs().to_numpy().max()) > _FAR
        if far:
            ax.set_xscale("symlog", linthresh=3)
            ax.xaxis.set_major_locator(FixedLocator([sign * tick for tick in _TICKS for sign in (-1, 1)]))
            ax.xaxis.set_major_formatter("{x:g}")
            ax.xaxis.set_minor_locator(NullLocator())
        ax.set_yticks(range(len(groups)), [_name(*map(str, key)) for key, _ in groups])
        ax.set_ylim(len(groups) - 0.5, -0.5)
        ax.grid(visible=False, axis="y")
        ax.set_xlabel("\u2190 worse   difference in standard deviations of the baseline   better \u2192")
        keys = [Line2D([], [], color=tints[arm], marker="o", ms=4.5, label=arm) for arm in shown]
        made.legend(handles=keys, loc="outside right upper")
        note(made, "Beyond 3 the axis is logarithmic." if far else "")
    return made


def _name(title: str, tokens: str, extrapolation: str) -> str:
    if tokens == TRAINED:
        return title
    how = "" if extrapolation == "none" else f", {extrapolation}"
    return f"{title}, {tokens}{how}"
