"""Score against what sampling costs."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis import tables
from analysis.figures.base import FIGURES, Material, StudyFigure
from analysis.figures.drawing.palette import INK, Palette, arm_colors, figure, note, sentence, style
from analysis.figures.drawing.parts import (
    absent,
    floor_line,
    is_lower,
    log_if_wide,
    log_nfe,
    markers,
    metric_label,
    pareto,
    rows,
)
from rope_dit.words import listed


@FIGURES.register("nfe")
class Nfe(StudyFigure):
    """Score against network evaluations, with the Pareto front."""

    title = "Score against network evaluations"
    section = "figures"
    place = 20
    exploratory = True

    def caption(self, material: Material) -> str:
        """What the figure shows, for readers."""
        return (
            f"{material.metric} against network evaluations an image (NFE), which is what sampling costs. A "
            "line is one arm under one family of samplers; the front joins what nothing beats at its cost "
            "or below."
        )

    def draw(self, material: Material) -> Figure | None:
        """Return the figure, or None where there is nothing to draw."""
        last = tables.final_scores(material.study)
        if last["nfe"].nunique() < 2:
            return None
        floor = float(last["real_floor"].mean())
        return score_against_nfe(last, material.end.metric, material.study.arms, floor, material.palette)


def score_against_nfe(
    scores: pd.DataFrame,
    metric: str,
    arms: Sequence[str],
    floor: float | None = None,
    palette: Palette = None,
) -> Figure:
    """Score against network evaluations an image: a line an arm and solver family, and the Pareto front.

    Points are means over seeds. On the front lie those that no other beats at as few evaluations.

    Args:
        scores: rows of the final step and one n, as of `load.scores`.
        metric: which of the frame's metrics.
        arms: which of its arms.
        floor: what real pictures would score, drawn as a line.
        palette: colours by arm.
    """
    frame = rows(scores, metric, arms, "n", final=True)
    if frame.empty:
        return sentence(f"No scores of {metric} yet.")
    lower = is_lower(frame)
    points = frame.groupby(["arm", "family", "sampler", "guidance"], as_index=False)[["nfe", "value"]].mean()
    front = pareto(points, lower)
    with style():
        made = figure(7.2, 4.2)
        ax = made.subplots()
        tints = arm_colors(arms, palette)
        marks = markers(points["family"].unique())
        for (arm, family), line in points.sort_values("nfe").groupby(["arm", "family"]):
            ax.plot(line["nfe"], line["value"], marks[str(family)], ls="-", color=tints[str(arm)], alpha=0.9)
        ax.plot(front["nfe"], front["value"], ls=(0, (2, 2)), lw=1.2, color=INK, zorder=1.5)
        ax.plot(front["nfe"], front["value"], "o", ms=11, mfc="none", mec=INK, mew=1.1)
        real = floor_line(ax, floor, points["value"])
        log_nfe(ax, points["nfe"])
        log_if_wide(ax, points["value"])
        ax.set(xlabel="network evaluations an image (NFE)", ylabel=metric_label(metric, lower, frame["n"]))
        shown = [a for a in arms if a in set(points["arm"])]
        keys = [Line2D([], [], color=tints[a], label=a) for a in shown]
        keys += [Line2D([], [], ls="", color=INK, marker=m, label=f) for f, m in marks.items()]
        keys += [Line2D([], [], ls="", color=INK, marker="o", ms=11, mfc="none", label="Pareto front")]
        made.legend(handles=keys, loc="outside right upper")
        ends = [f"{row.arm} with {row.family} at {row.nfe:g}" for row in front.itertuples()]
        note(made, f"Pareto front: {listed(ends)}.", real, absent(frame, arms))
    return made
