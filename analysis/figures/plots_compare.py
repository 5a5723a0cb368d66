"""Figures that set arms against each other: differences, seeds side by side, pictures."""

import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.image import imread

from analysis import stats
from analysis.figures.palette import INK, arm_colors, figure, label_ends, note, sentence, style

Palette = Mapping[str, str] | None


def forest(comparisons: Sequence[stats.Comparison], better: str = "lower", palette: Palette = None) -> Figure:
    """Difference of each arm from its reference, with the margin and the verdict.

    The thin line is the interval of the difference (95 % at one look), the thick one the 90 % interval that
    lies inside the grey margin where an arm is equivalent. No line: one seed.

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
        ax.set_xlabel(rf"$\leftarrow$ {left}      difference of the score      {right} $\rightarrow$")
        if len(references) == 1:
            ax.set_title(f"Difference from {comparisons[0].reference}")
    return made


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


def all_pairs(values: pd.DataFrame, paired: bool, better: str = "lower") -> Figure:
    """Mean difference of each row's arm from each column's, with its interval. Exploratory: no family.

    Args:
        values: columns arm, seed, value.
        paired: whether seeds are paired over arms.
        better: 'lower' or 'higher'; blue is where the row is better.
    """
    arms = [str(arm) for arm in values.groupby("arm")["value"].mean().sort_values().index]
    if len(arms) < 2:
        return sentence("No pairs: the study has scores of fewer than two arms.")
    arms = arms if better == "lower" else arms[::-1]
    difference = pd.DataFrame(np.nan, arms, arms)
    text = pd.DataFrame("", arms, arms)
    for row, column in ((r, c) for r in arms for c in arms if r != c):
        if (found := _difference(values, row, column, paired)) is not None:
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


def sample_grids(pictures: Mapping[str, Path | bytes], columns: int = 2) -> Figure:
    """Grids of pictures side by side: one place has the same noise and class in every arm.

    Args:
        pictures: PNG of each arm, as a file or what is in it.
        columns: grids in a row.
    """
    if not pictures:
        return sentence("No pictures yet.")
    rows, columns = math.ceil(len(pictures) / columns), min(columns, len(pictures))
    images = [imread(BytesIO(png) if isinstance(png, bytes) else str(png)) for png in pictures.values()]
    height, width = images[0].shape[:2]
    with style():
        made = figure(3.4 * columns, (3.4 * height / width + 0.3) * rows)
        grid = made.subplots(rows, columns, squeeze=False).ravel()
        for ax in grid:
            ax.axis("off")
        for ax, arm, image in zip(grid, pictures, images, strict=False):
            ax.imshow(image, cmap="gray", interpolation="nearest")
            ax.set_title(arm)
    return made


def _difference(values: pd.DataFrame, row: str, column: str, paired: bool) -> stats.Interval | None:
    """Interval of row - column, or None where paired arms have no seed in common."""
    mine = values[values["arm"].isin([row, column])]
    if paired and mine["seed"].is_unique:  # no seed has both
        return None
    return stats.compare(mine, [(row, column)], paired=paired, margin=0.02)[0].difference


def _interval_text(found: stats.Interval) -> str:
    if not math.isfinite(found.low):
        return f"{found.value:+.3g}"
    return f"{found.value:+.3g}\n{found.low:+.2g} to {found.high:+.2g}"
