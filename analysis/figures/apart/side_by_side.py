"""Arms of several studies: a panel a study, for their scores have no scale in common."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.drawing.palette import INK, Palette, arm_colors, figure, sentence, style
from analysis.figures.drawing.parts import metric_label


def side_by_side(
    arms: pd.DataFrame, titles: Mapping[str, str], names: Sequence[str], palette: Palette = None
) -> Figure:
    """Each arm's mean over seeds with its 95 % interval, and a line through each study's baseline.

    Args:
        arms: of `judging.across.Across.arms`.
        titles: of the panels, by study, in their order.
        names: the arms from top to bottom.
        palette: colours by arm.
    """
    scored = arms[arms["mean"].notna()]
    if scored.empty:
        return sentence("No arm has a score yet.")
    tints = arm_colors(names, palette)
    with style():
        made = figure(2.0 + 2.9 * len(titles), 1.4 + 0.34 * len(names))
        panels = made.subplots(1, len(titles), sharey=True, squeeze=False)[0]
        for ax, (study, title) in zip(panels, titles.items(), strict=True):
            own = scored[scored["study"] == study]
            for row in own.to_dict("records"):
                y, color = names.index(row["arm"]), tints[row["arm"]]
                ax.plot([row["low"], row["high"]], [y, y], color=color, lw=1.6)
                ax.plot(row["mean"], y, "o", color=color, ms=6)
                if not row["against"]:
                    ax.axvline(row["mean"], color=INK, lw=1, ls=(0, (4, 3)))
            ax.set_title(title)
            ax.grid(visible=False, axis="y")
            if len(own):
                first = own.iloc[0]
                ax.set_xlabel(metric_label(first["metric"], first["better"] == "lower"))
        panels[0].set_yticks(range(len(names)), list(names))
        panels[0].set_ylim(len(names) - 0.5, -0.5)
    return made
