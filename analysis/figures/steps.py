"""Score against training steps."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from analysis import tables
from analysis.figures.base import FIGURES, Material, StudyFigure
from analysis.figures.drawing.palette import Palette, arm_colors, figure, note, sentence, style
from analysis.figures.drawing.parts import absent, floor_line, mean_lines, metric_label, rows
from analysis.numbers import metric_title


@FIGURES.register("steps")
class Steps(StudyFigure):
    """Score against training steps, with what real pictures would score."""

    title = "Score against training steps"
    section = "figures"
    place = 10

    def caption(self, material: Material) -> str:
        """What the figure shows, for readers."""
        end, n = material.end, int(tables.curve_scores(material.study)["n"].iloc[0])
        other = "" if n == end.n else ", so its level is not that of the table"
        title = metric_title(end.metric, end.extractor, n)
        return (
            f"{title} over training, {end.better} is better. Lines are means over seeds, bands "
            "their 95 % intervals: where bands overlap, look at the differences below before ranking arms. "
            f"The curve uses n = {n:,} pictures{other}."
        )

    def draw(self, material: Material) -> Figure | None:
        """Return the figure, or None where there is nothing to draw."""
        curve, end, arms = tables.curve_scores(material.study), material.end, material.study.arms
        if curve["train_step"].nunique() < 2:
            return None
        floor = float(curve["real_floor"].mean())
        return score_against_steps(curve, end.metric, arms, end.better, floor, material.palette)


def score_against_steps(
    scores: pd.DataFrame,
    metric: str,
    arms: Sequence[str],
    better: str = "lower",
    floor: float | None = None,
    palette: Palette = None,
) -> Figure:
    """Score against training steps: for each arm the mean over seeds, in a band that is its 95 % t interval.

    With two seeds the band goes from one to the other; with one there is none.

    Args:
        scores: rows of one sampler, guidance and n, as of `load.scores`.
        metric: which of the frame's metrics.
        arms: which of its arms.
        better: 'lower' or 'higher'.
        floor: what real pictures would score, drawn as a line.
        palette: colours by arm.
    """
    frame = rows(scores, metric, arms, "n", "sampler", "guidance")
    if frame.empty:
        return sentence(f"No scores of {metric} yet.")
    with style():
        made = figure()
        ax = made.subplots()
        real = floor_line(ax, floor, frame["value"])
        mean_lines(ax, frame, "train_step", arm_colors(arms, palette))
        ax.set(xlabel="training steps", ylabel=metric_label(metric, better == "lower", frame["n"]))
        note(made, real, absent(frame, arms))
    return made
