"""Figures of a study, on the frames of `analysis.load`. Each is a new matplotlib Figure; nothing global.

Means and bands are over training seeds: scores of further sampling seeds are averaged inside their network
first. Arms without rows are named in a caption, and a frame without any rows gives a figure that says so.
`palette` overrides the colours of `colors(arms)`, for figures that see only some arms of a study.
All raise UserError where a frame mixes scores that do not compare (n, extractor, EMA, ...).
"""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis import stats
from analysis.figures.palette import INK, arm_colors, colors, figure, label_ends, note, sentence, style
from analysis.figures.parts import (
    absent,
    floor_line,
    is_lower,
    joined,
    log_if_wide,
    log_nfe,
    markers,
    mean_lines,
    metric_label,
    pareto,
    rows,
    sampler_panel,
)
from analysis.figures.plots_compare import all_pairs, forest, paired_lines, sample_grids

__all__ = [
    "all_pairs",
    "colors",
    "equal_nfe",
    "forest",
    "loss_by_t",
    "n_bias",
    "paired_lines",
    "sample_grids",
    "score_against_nfe",
    "score_against_steps",
]
Palette = Mapping[str, str] | None
_BINS = 10  # tenths of t, the keys loss_by_t/0 .. 9


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
        ax.set(xlabel="training steps", ylabel=f"{metric} ({better} is better)")
        note(made, real, absent(frame, arms))
    return made


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
        ax.set(xlabel="network evaluations an image (NFE)", ylabel=metric_label(metric, lower))
        shown = [a for a in arms if a in set(points["arm"])]
        keys = [Line2D([], [], color=tints[a], label=a) for a in shown]
        keys += [Line2D([], [], ls="", color=INK, marker=m, label=f) for f, m in marks.items()]
        keys += [Line2D([], [], ls="", color=INK, marker="o", ms=11, mfc="none", label="Pareto front")]
        made.legend(handles=keys, loc="outside right upper")
        ends = [f"{row.arm} with {row.family} at {row.nfe:g}" for row in front.itertuples()]
        note(made, f"Pareto front: {joined(ends)}.", real, absent(frame, arms))
    return made


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
        axes[0].set_ylabel(metric_label(metric, lower))
        shown = [a for a in arms if a in set(frame["arm"])]
        made.legend(
            handles=[Line2D([], [], color=tints[a], marker="o", label=a) for a in shown],
            loc="outside right upper",
        )
        note(made, absent(frame, arms))
    return made


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
