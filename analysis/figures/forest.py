"""Differences on which verdicts stand."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from analysis import stats
from analysis.figures.base import FIGURES, Material, StudyFigure
from analysis.figures.drawing.palette import INK, Palette, arm_colors, figure, sentence, style


@FIGURES.register("forest")
class Forest(StudyFigure):
    """Difference of each arm from its reference, with margin and verdict."""

    title = "Differences from the reference"
    section = "figures"
    place = 30

    def caption(self, material: Material) -> str:
        """What the figure shows, for readers."""
        side = "left" if material.end.better == "lower" else "right"
        return (
            f"{material.metric} of each arm minus that of its reference; {side} of 0 the arm is better. "
            "Thin lines are intervals of the difference. Grey is the margin, differences too small to "
            "matter: an arm whose thick line lies inside may be equivalent; that line shares its level with "
            "the other arms."
        )

    def draw(self, material: Material) -> Figure | None:
        """Return the figure, or None where there is nothing to draw."""
        if not material.compared:
            return None
        return forest(material.compared, material.end.better, material.palette)


def forest(comparisons: Sequence[stats.Comparison], better: str = "lower", palette: Palette = None) -> Figure:
    """Difference of each arm from its reference, with the margin and the verdict.

    The thin line is the interval of the difference (95 % at one look), the thick one that which lies inside
    the grey margin where an arm is equivalent. No line: one seed.

    Args:
        comparisons: what `stats.compare` gave, drawn from top to bottom.
        better: 'lower' or 'higher'.
        palette: colours by arm.
    """
    if not comparisons:
        return sentence("No comparisons: the study has one arm, or no scores yet.")
    references = {c.reference for c in comparisons}
    tints = arm_colors([c.arm for c in comparisons] + list(references), palette)
    with style():
        made = figure(6.8, 1.3 + 0.42 * len(comparisons))
        ax = made.subplots()
        for y, c in enumerate(comparisons):
            ax.fill_betweenx([y - 0.5, y + 0.5], -c.margin, c.margin, color=INK, alpha=0.16, lw=0)
            ax.plot([c.difference.low, c.difference.high], [y, y], color=tints[c.arm], lw=1.3)
            ax.plot([c.equivalence.low, c.equivalence.high], [y, y], color=tints[c.arm], lw=4, alpha=0.6)
            ax.plot(c.difference.value, y, "o", color=tints[c.arm], ms=7)
            ax.annotate(
                c.verdict, (1.02, y), xycoords=("axes fraction", "data"), va="center", annotation_clip=False
            )
        ax.axvline(0, color=INK, lw=1)
        names = [c.arm if len(references) == 1 else f"{c.arm} - {c.reference}" for c in comparisons]
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.grid(visible=False, axis="y")
        left, right = ("better", "worse") if better == "lower" else ("worse", "better")
        ax.set_xlabel(f"\u2190 {left}      difference of the score      {right} \u2192")
        if len(references) == 1:
            ax.set_title(f"Difference from {comparisons[0].reference}")
    return made
