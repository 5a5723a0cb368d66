"""What the figures of scores are made of: rows that compare, lines with bands, axes."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter

from analysis import stats
from analysis.figures.drawing.palette import INK, MARKERS, label_ends
from analysis.numbers import with_n
from rope_dit.errors import UserError
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.samplers.spec import SamplerSpec

_WIDE = 20  # a range of more than this factor is drawn on a logarithmic axis
_SAME = ("extractor", "ema", "tokens", "extrapolation", "classes")  # or scores do not compare
_CELL = ["arm", "seed", "train_step", "sampler", "guidance", "n", "better"]


def rows(
    scores: pd.DataFrame, metric: str, arms: Sequence[str], *one: str, final: bool = False
) -> pd.DataFrame:
    """Return the scores of these arms: one row a network, sampler and n, sampling seeds averaged.

    Args:
        scores: as of `load.scores`.
        metric: which of the frame's metrics.
        arms: which of its arms.
        one: columns besides those of _SAME that must hold one value, or the scores do not compare.
        final: an arm must have one training step.

    Returns:
        Columns arm, seed, train_step, sampler, guidance, n, better, nfe, value, and family: the sampler
        without its steps, with the guidance where there are several.

    Raises:
        UserError: the scores do not compare.
    """
    frame = scores[(scores["metric"] == metric) & scores["arm"].isin(list(arms))]
    for column in (*_SAME, *one):
        _expect_one(frame, column, f"scores of {metric}")
    for arm, mine in frame.groupby("arm") if final else ():
        _expect_one(mine, "train_step", f"scores of {metric} of {arm}")
    frame = frame.groupby(_CELL, as_index=False)[["nfe", "value"]].mean()
    several = frame["guidance"].nunique() > 1
    guidance = ", " + frame["guidance"].map(_guidance) if several else ""
    return frame.assign(family=frame["sampler"].map(_family).astype("str") + guidance)


def _expect_one(frame: pd.DataFrame, column: str, what: str) -> None:
    found = sorted(frame[column].unique())
    if len(found) > 1:
        names = ", ".join(str(value) for value in found[:6])
        raise UserError(f"{what} have several values of {column} ({names}); give the rows of one.")


def _family(sampler: str) -> str:
    try:
        return SamplerSpec.parse(sampler).family
    except UserError:  # of a plugin that this process does not know
        return sampler.partition(":")[0]


def _guidance(guidance: str) -> str:
    try:
        spec = GuidanceSpec.parse(guidance)
    except UserError:  # of a plugin that this process does not know
        return guidance.partition(":")[0]
    return f"cfg {spec.short}" if spec.name == "cfg" else spec.short


def is_lower(frame: pd.DataFrame) -> bool:
    """Whether lower scores are better."""
    return bool((frame["better"] == "lower").all())


def metric_label(metric: str, lower: bool, n: "pd.Series[int] | None" = None) -> str:
    """Name of the axis; an FID says of how many pictures it is, where all are of one number `n`."""
    one = int(n.iloc[0]) if n is not None and n.nunique() == 1 else None
    return f"{with_n(metric, metric, one)} ({'lower' if lower else 'higher'} is better)"


def absent(frame: pd.DataFrame, arms: Sequence[str]) -> str:
    """Name the arms that have no rows."""
    missing = [arm for arm in arms if arm not in set(frame["arm"])]
    return f"Without scores yet: {', '.join(missing)}." if missing else ""


def pareto(points: pd.DataFrame, lower: bool) -> pd.DataFrame:
    """Rows that no other beats at as few evaluations, by rising NFE."""
    cost = (points["value"] if lower else -points["value"]).round(12)  # equal means differ in their last bits
    ordered = points.assign(cost=cost).sort_values(["nfe", "cost"])
    best = ordered["cost"].cummin().shift(fill_value=np.inf)
    return ordered[ordered["cost"] < best].drop(columns="cost")


def markers(families: Iterable[str]) -> dict[str, str]:
    """A marker for each solver family."""
    names = sorted(families)
    return {name: MARKERS[i % len(MARKERS)] for i, name in enumerate(names)}


def mean_lines(ax: Axes, frame: pd.DataFrame, x: str, tints: Mapping[str, str], **line: Any) -> None:
    """Draw for each arm its mean over seeds and the band, and write its name at the end."""
    arms = [arm for arm in tints if arm in set(frame["arm"])]
    sns.lineplot(
        frame, x=x, y="value", hue="arm", hue_order=arms, palette=dict(tints), errorbar=_band,
        err_kws={"alpha": 0.1, "linewidth": 0.8}, legend=False, ax=ax, **line,
    )  # fmt: skip
    means = frame.groupby(["arm", x])["value"].mean()  # sorted by both
    log_if_wide(ax, means)
    label_ends(ax, [(float(means[arm].iloc[-1]), arm, tints[arm]) for arm in arms])


def _band(values: "pd.Series[float]") -> tuple[float, float]:
    if len(values) < 3:
        return float(values.min()), float(values.max())
    found = stats.mean_interval(values.tolist())
    return found.low, found.high


def floor_line(ax: Axes, floor: float | None, values: "pd.Series[float]") -> str:
    """Draw what real pictures would score; where it is far from all scores return a caption instead."""
    if floor is None or math.isnan(floor):
        return ""
    reach = max(values.max() - values.min(), 0.2 * abs(values.mean()))
    if not values.min() - reach <= floor <= values.max() + reach:
        return f"Real pictures would score {floor:.3g}."
    ax.axhline(floor, color=INK, lw=1, ls=(0, (4, 3)))
    at = (0.005, floor)
    ax.annotate(
        "real pictures", at, (0, 3), ("axes fraction", "data"), "offset points", fontsize=8, color=INK
    )
    return ""


def log_if_wide(ax: Axes, values: "pd.Series[float]") -> None:
    """Take a logarithmic axis where the values span more than a factor of 20."""
    if values.min() > 0 and values.max() > _WIDE * values.min():
        ax.set_yscale("log")


def log_nfe(ax: Axes, nfe: "pd.Series[float]") -> None:
    """Take a logarithmic axis whose ticks are the numbers of evaluations that occur."""
    ax.set_xscale("log")
    ticks: list[float] = []
    for value in sorted(nfe.unique()):
        if not ticks or value > 1.25 * ticks[-1]:
            ticks.append(float(value))
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_minor_locator(NullLocator())


def sampler_panel(ax: Axes, frame: pd.DataFrame, tints: Mapping[str, str]) -> None:
    """Draw scores by solver family: a line an arm through means, bars for the bands."""
    families = sorted(frame["family"].unique())
    arms = [arm for arm in tints if arm in set(frame["arm"])]
    for i, arm in enumerate(arms):
        mine = frame[frame["arm"] == arm].groupby("family")["value"]
        shift = 0.24 * ((i + 0.5) / len(arms) - 0.5)
        x = [families.index(str(family)) + shift for family, _ in mine]
        bands = [_band(values) for _, values in mine]
        ax.vlines(x, [low for low, _ in bands], [high for _, high in bands], color=tints[arm], lw=1.2)
        ax.plot(x, mine.mean(), "o-", color=tints[arm], lw=1.2)
    ax.set_xticks(range(len(families)), families)
    ax.set_xlim(-0.4, len(families) - 0.6)
    ax.grid(visible=False, axis="x")
