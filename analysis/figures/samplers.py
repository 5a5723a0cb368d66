"""Samplers that cost the same."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis import tables
from analysis.figures.base import FIGURES, Material, StudyFigure
from analysis.figures.drawing.palette import Palette, arm_colors, figure, note, sentence, style
from analysis.figures.drawing.parts import absent, is_lower, metric_label, rows, sampler_panel


@FIGURES.register("samplers")
class Samplers(StudyFigure):
    """Final scores under samplers of equal cost, a panel a cost."""

    title = "Samplers side by side"
    section = "samplers"
    place = 10
    exploratory = True

    def caption(self, material: Material) -> str:
        """What the figure shows, for readers."""
        return "Final scores under samplers that cost the same. Exploratory."

    def draw(self, material: Material) -> Figure | None:
        """Return the figure, or None where there is nothing to draw."""
        study = material.study
        if tables.sampler_table(study).empty:
            return None
        return equal_nfe(tables.final_scores(study), material.end.metric, study.arms, material.palette)


def equal_nfe(scores: pd.DataFrame, metric: str, arms: Sequence[str], palette: Palette = None) -> Figure:
    """Samplers at equal network evaluations: a panel an NFE, a line an arm. Crossing lines: ranks change.

    Args:
        scores: rows of the final step and one n, as of `load.scores`.
        metric: which of the frame's metrics.
        arms: which of its arms.
        palette: colours by arm.
    """
    frame = rows(scores, metric, arms, "n", final=True)
    if frame.empty:
        return sentence(f"No scores of {metric} yet.")
    frame = frame.assign(nfe=frame.groupby("sampler")["nfe"].transform("mean").round().astype(int))
    shared = frame.groupby("nfe")["family"].nunique()
    budgets = list(shared.index[shared > 1])
    if not budgets:
        return sentence("No two samplers of this study take the same number of network evaluations.")
    tints, lower = arm_colors(arms, palette), is_lower(frame)
    with style():
        made = figure(max(4.6, 1.6 + 2.2 * len(budgets)), 3.8)
        axes = made.subplots(1, len(budgets), sharey=True, squeeze=False)[0]
        for ax, nfe in zip(axes, budgets, strict=True):
            sampler_panel(ax, frame[frame["nfe"] == nfe], tints)
            ax.set_title(f"NFE {nfe}")
        axes[0].set_ylabel(metric_label(metric, lower, frame["n"]))
        shown = [a for a in arms if a in set(frame["arm"])]
        made.legend(
            handles=[Line2D([], [], color=tints[a], marker="o", label=a) for a in shown],
            loc="outside right upper",
        )
        note(made, absent(frame, arms))
    return made
