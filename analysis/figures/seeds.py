"""Seeds side by side."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.base import FIGURES, Material, StudyFigure
from analysis.figures.drawing.palette import INK, Palette, arm_colors, figure, label_ends, sentence, style


@FIGURES.register("seeds")
class Seeds(StudyFigure):
    """Score of every seed, a line a seed across the arms."""

    title = "Each seed across the arms"
    section = "figures"
    place = 40

    def caption(self, material: Material) -> str:
        """What the figure shows, for readers."""
        return (
            "A grey line is one seed across the arms, bars are means. Where the lines run parallel, seeds "
            "move all arms together, and pairing takes that out of the differences."
        )

    def draw(self, material: Material) -> Figure | None:
        """Return the figure, or None where there is nothing to draw."""
        values = material.study.endpoint()
        if values["arm"].nunique() < 2:
            return None
        return paired_lines(values, material.study.definition.baseline, material.palette)


def paired_lines(values: pd.DataFrame, baseline: str, palette: Palette = None) -> Figure:
    """Score of every seed, a line a seed across the arms; bars are means. Parallel lines: pairing helps.

    Args:
        values: columns arm, seed, value.
        baseline: the arm that stands first.
        palette: colours by arm.
    """
    if values.empty:
        return sentence("No final scores yet.")
    means = values.groupby("arm")["value"].mean().sort_values()
    arms = sorted(means.index, key=lambda arm: arm != baseline)
    wide = values.pivot_table(index="arm", columns="seed", values="value").reindex(arms)
    tints = arm_colors(arms, palette)
    with style():
        made = figure(max(4.0, 1.5 + 0.9 * len(arms)))
        ax = made.subplots()
        ax.plot(wide.to_numpy(), color=INK, lw=1, alpha=0.6)
        for x, arm in enumerate(arms):
            ax.plot(np.full(wide.shape[1], x), wide.loc[arm], "o", color=tints[arm])
            ax.plot([x - 0.22, x + 0.22], [means[arm]] * 2, color=tints[arm], lw=3, solid_capstyle="butt")
        ax.set_xticks(range(len(arms)), arms, rotation=30 if len(arms) > 5 else 0)
        ax.set(xlim=(-0.5, len(arms) - 0.5), ylabel="score")
        ax.grid(visible=False, axis="x")
        last = wide.iloc[-1].dropna()
        if len(last) <= 12:
            label_ends(ax, [(y, f"seed {seed}", INK) for seed, y in last.items()], gap=0.05)
    return made
