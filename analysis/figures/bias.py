"""What the number of pictures does to a score."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from analysis import stats, tables
from analysis.figures.base import FIGURES, Material, StudyFigure
from analysis.figures.drawing.palette import Palette, arm_colors, figure, label_ends, note, sentence, style
from analysis.figures.drawing.parts import absent, is_lower, metric_label, rows


@FIGURES.register("bias")
class Bias(StudyFigure):
    """Score against 1/n, with the line to infinitely many pictures."""

    title = "Score against 1/n"
    section = "spread"
    place = 10
    exploratory = True

    def caption(self, material: Material) -> str:
        """What the figure shows, for readers."""
        return (
            "Few pictures bias the score by about a/n. At 1/n = 0 is the score that infinitely many would "
            "get; lines that cross would change the ranking."
        )

    def draw(self, material: Material) -> Figure | None:
        """Return the figure, or None where there is nothing to draw."""
        study = material.study
        if tables.infinity_table(study).empty:
            return None
        return n_bias(tables.size_scores(study), material.end.metric, study.arms, material.palette)


def n_bias(scores: pd.DataFrame, metric: str, arms: Sequence[str], palette: Palette = None) -> Figure:
    """Score against 1/n, with the line a + b/n that gives the score at infinity (arXiv:1911.07023).

    Args:
        scores: rows of the final step, one sampler and several n, as of `load.scores`.
        metric: which of the frame's metrics.
        arms: which of its arms.
        palette: colours by arm.
    """
    frame = rows(scores, metric, arms, "sampler", "guidance", final=True)
    if frame.empty:
        return sentence(f"No scores of {metric} yet.")
    points = frame.groupby(["arm", "n"], as_index=False)["value"].mean()
    tints, sizes = arm_colors(arms, palette), sorted(points["n"].unique())
    with style():
        made = figure()
        ax = made.subplots()
        ends = []
        for arm, line in points.groupby("arm"):
            x, y = 1 / line["n"].to_numpy(), line["value"].to_numpy()
            ax.plot(x, y, "o", color=tints[str(arm)])
            if len(x) > 1:
                a = stats.at_infinity(line["n"].tolist(), y.tolist()).value
                slope = (y.mean() - a) / x.mean()  # the least squares line passes through the means
                ax.plot([0, x.max()], [a, a + slope * x.max()], color=tints[str(arm)], lw=1.3)
            ends.append((float(y[x.argmax()]), str(arm), tints[str(arm)]))
        ax.set_xlim(0, 1.04 / min(sizes))
        ax.set_xticks([0, *(1 / n for n in sizes)], [r"$\infty$", *(f"{n:,}" for n in sizes)])
        ax.set(xlabel="pictures n, spaced by 1/n", ylabel=metric_label(metric, is_lower(frame)))
        label_ends(ax, ends)
        few = "" if len(sizes) > 1 else "One n only: no line to infinity."
        note(made, few, absent(frame, arms))
    return made
