"""How every figure looks: one colour an arm, grey ink that reads on light and on dark, nothing global."""

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

Palette = Mapping[str, str] | None
"""colours by arm, #rrggbb; None for those of `colors`"""
INK = "#7a7a7a"
"""text and lines: contrast 4.3 on white and 4.3 on #121417"""
SAFE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8440f0", "#cf1148", "#9a80f8", "#c000a8")
"""the Okabe-Ito colours with contrast above 3 on white and on #121417, then others as far from all before as
can be in simulated protanopia, deuteranopia and tritanopia"""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DPI = 200  # twice what matplotlib takes for a screen
_STYLE: dict[str, Any] = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "grid.color": INK,
    "grid.alpha": 0.22,
    "grid.linewidth": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "legend.frameon": False,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color"),
        INK,
    ),
}


def colors(arms: Sequence[str]) -> dict[str, str]:
    """Give each arm a colour as #rrggbb, whatever the order of the arms.

    The first eight in the alphabet get colours that readers with a colour vision deficiency tell apart, and
    with more arms the others get hues between them. Figures label arms with words as well.
    """
    names = sorted(set(arms))
    more = max(0, len(names) - len(SAFE))
    extra = [to_hex(c) for c in sns.husl_palette(more, h=0.03, s=0.75, l=0.55)] if more else []
    return dict(zip(names, [*SAFE, *extra], strict=False))


def arm_colors(arms: Sequence[str], palette: Mapping[str, str] | None) -> dict[str, str]:
    """Colours of the arms in a figure, in their order, from the study's palette where one was given."""
    found = colors(arms) | dict(palette or {})
    return {arm: found[arm] for arm in arms}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw in this project's style; seaborn's use of older pandas and matplotlib interfaces is not ours."""
    with mpl.rc_context(cast(Any, _STYLE)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="seaborn")
        warnings.filterwarnings("ignore", category=PendingDeprecationWarning, module="seaborn")
        yield


def figure(width: float = 6.4, height: float = 4.0) -> Figure:
    """Return a transparent figure of this size in inches that pyplot does not know of."""
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    return Figure(figsize=(width, height), dpi=DPI, layout=layout, facecolor="none")


def sentence(text: str) -> Figure:
    """Return a figure that only says why there is nothing to draw."""
    with style():
        made = figure(6.4, 0.8)
        ax = made.subplots()  # notebooks do not show figures without axes
        ax.set_axis_off()
        ax.text(0.5, 0.5, text, ha="center", va="center", style="italic", transform=ax.transAxes)
    return made


def note(made: Figure, *sentences: str) -> None:
    """Write a caption below the axes, a line a sentence; empty ones are left out."""
    if text := "\n".join(filter(None, sentences)):
        made.supxlabel(text, x=0.01, ha="left", fontsize=8, style="italic", color=INK)


def label_ends(ax: Axes, labels: Sequence[tuple[float, str, str]], gap: float = 0.065) -> None:
    """Write (y, text, colour) right of the axes, each at its height or as near as the others let it."""
    ax.get_ylim()  # limits that wait for autoscaling would put the labels elsewhere
    to_axes = ax.transData + ax.transAxes.inverted()
    heights = [float(to_axes.transform((1.0, y))[1]) for y, *_ in labels]
    order = sorted(range(len(labels)), key=heights.__getitem__)
    placed = spread([heights[i] for i in order], gap)
    for i, y in zip(order, placed, strict=True):
        _, text, color = labels[i]
        ax.annotate(
            text, (1.015, y), xycoords="axes fraction", va="center", color=color, annotation_clip=False
        )


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Move rising heights apart until neighbours are `gap` away from each other, and none is above 1.

    >>> spread([0.0, 1.0], 0.1), [round(y, 2) for y in spread([0.5, 0.5, 1.0, 1.0], 0.1)]
    ([0.0, 1.0], [0.45, 0.55, 0.9, 1.0])
    """
    # not adjustText 1.4: of eight close labels two overlapped, others changed places, and a second call gave
    # another picture, where a report must be the same each time
    groups: list[tuple[float, list[float]]] = []  # centre and wished heights of labels that touch
    for y in heights:
        groups.append((y, [y]))
        while len(groups) > 1 and _top(groups[-2], gap) > _bottom(groups[-1], gap):
            wished = groups[-2][1] + groups[-1][1]
            groups[-2:] = [(sum(wished) / len(wished), wished)]
    placed = [
        centre + (i - (len(wished) - 1) / 2) * gap for centre, wished in groups for i in range(len(wished))
    ]
    return [min(y, 1 - (len(placed) - 1 - i) * gap) for i, y in enumerate(placed)]


def _top(group: tuple[float, list[float]], gap: float) -> float:
    return group[0] + len(group[1]) * gap / 2


def _bottom(group: tuple[float, list[float]], gap: float) -> float:
    return group[0] - len(group[1]) * gap / 2
