"""Where along the path the network errs."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.base import FIGURES, Material, StudyFigure
from analysis.figures.drawing.palette import Palette, arm_colors, figure, note, sentence, style
from analysis.figures.drawing.parts import absent, mean_lines

_BINS = 10  # tenths of t, the keys loss_by_t/0 .. 9


@FIGURES.register("loss")
class Loss(StudyFigure):
    """Training loss by tenth of t, at the end of training."""

    title = "Training loss by t"
    section = "figures"
    place = 60
    exploratory = True

    def caption(self, material: Material) -> str:
        """What the figure shows, for readers."""
        return (
            "Training loss by tenth of t (0 is noise, 1 is data), mean of the last tenth of the steps: "
            "where along the path one arm learns what another does not."
        )

    def draw(self, material: Material) -> Figure | None:
        """Return the figure, or None where there is nothing to draw."""
        losses = material.curves[material.curves["key"].str.startswith("loss_by_t/")]
        return loss_by_t(losses, material.study.arms, material.palette) if len(losses) else None


def loss_by_t(curves: pd.DataFrame, arms: Sequence[str], palette: Palette = None) -> Figure:
    """Training loss by tenth of t at the end: the mean of the last 10 % of steps, then over seeds.

    Args:
        curves: rows with the keys loss_by_t/0 .. 9, as of `load.curves`.
        arms: which of its arms.
        palette: colours by arm.
    """
    frame = curves[curves["key"].str.startswith("loss_by_t/") & curves["arm"].isin(list(arms))]
    if frame.empty:
        return sentence("No loss by t was logged.")
    end = frame.groupby(["arm", "seed"])["step"].transform("max")
    frame = frame[frame["step"] >= 0.9 * end]
    t = (frame["key"].str.rpartition("/")[2].astype(int) + 0.5) / _BINS
    frame = frame.assign(t=t).groupby(["arm", "seed", "t"], as_index=False)[["value"]].mean()
    with style():
        made = figure()
        ax = made.subplots()
        mean_lines(ax, frame, "t", arm_colors(arms, palette), marker="o", markeredgewidth=0)
        ax.set(xlabel="t (0 noise, 1 data)", ylabel="squared error of the velocity", xlim=(0, 1))
        note(made, absent(frame, arms))
    return made
