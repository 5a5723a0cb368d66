"""The pictures of the pages, each a PNG that says which numbers it was drawn from and by which code.

So a test can tell whether a picture is the one that would be drawn now, on machines whose fonts and last
digits are others.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from rope_dit.registry.syntax import tree_sha256

Numbers = tuple[float, ...]
TOLERANCE = 5e-3
"""of numbers, which are kept with three digits after the point"""
_INK, _EDGE, _HIDDEN, _MAP = "#333333", "#bbbbbb", "#8c8c8c", "RdBu_r"
_LEAST = 1.0
"""logits at the ends of the scale, at least: so that next to nothing looks like it"""


@dataclass(frozen=True)
class Picture:
    """A picture, and what it is drawn from."""

    numbers: Numbers
    figure: Figure

    def png(self) -> bytes:
        """It as a file, with its numbers."""
        drawn, written = io.BytesIO(), io.BytesIO()
        self.figure.savefig(drawn, format="png", dpi=110, facecolor="white")
        told = PngInfo()
        told.add_text("Numbers", json.dumps(self.numbers), zip=True)
        told.add_text("Drawn by", drawn_by())
        image = Image.open(drawn).convert("RGB")
        image.save(written, format="png", optimize=True, pnginfo=told)
        return written.getvalue()


@cache
def drawn_by() -> str:
    """SHA-256 of what this file says: a picture of another must be drawn again."""
    return tree_sha256(Path(__file__))


def is_drawn(path: Path, numbers: Numbers) -> bool:
    """Whether the file is the picture that this code draws of these numbers."""
    if not path.is_file():
        return False
    with Image.open(path) as image:
        told = dict(image.text) if hasattr(image, "text") else {}
    there = json.loads(told.get("Numbers", "[]"))
    same = len(there) == len(numbers) and np.allclose(there, numbers, rtol=0, atol=TOLERANCE, equal_nan=True)
    return same and told.get("Drawn by") == drawn_by()


def rounded(values: np.ndarray) -> Numbers:
    """Numbers as pictures keep them."""
    return tuple(round(float(value), 3) + 0.0 for value in values.ravel())


def of_similarity(logits: np.ndarray, marked: tuple[int, int]) -> Picture:
    """Draw logits [2, H, h, w] of two tokens, whose places are marked, on one scale; what is NaN is grey.

    A column a head, tokens below each other; the tokens of a single head stand side by side.
    """
    _, heads, _, w = logits.shape
    scale = Normalize(*np.multiply((-1, 1), max(_LEAST, float(np.nanmax(np.abs(logits))))))
    alone = heads == 1
    figure = Figure(figsize=(3.9, 1.75) if alone else (1.25 * heads + 1.35, 2.75), layout="constrained")
    axes = figure.subplots(1, 2).reshape(2, 1) if alone else figure.subplots(2, heads)
    for row, (token, called) in enumerate(zip(marked, ("at the centre", "in the corner"), strict=True)):
        for head, axis in enumerate(axes[row]):
            _panel(axis, logits[row, head], scale, (token % w, token // w))
            if alone:
                axis.set_title(f"token {called}", fontsize=8, color=_INK, pad=4)
            elif row == 0:
                axis.set_title(f"head {head + 1}", fontsize=8, color=_INK, pad=4)
        if not alone:
            axes[row, 0].set_ylabel(f"token\n{called}", fontsize=8, color=_INK)
    bar = figure.colorbar(ScalarMappable(scale, _MAP), ax=axes, fraction=0.08, pad=0.02, aspect=18)
    bar.set_label("logit", fontsize=8, color=_INK)
    bar.ax.tick_params(labelsize=7, colors=_INK)
    bar.outline.set_edgecolor(_EDGE)
    return Picture(rounded(logits), figure)


def _panel(axis: Axes, logits: np.ndarray, scale: Normalize, marked: tuple[int, int]) -> None:
    axis.set_facecolor(_HIDDEN)
    axis.imshow(logits, cmap=_MAP, norm=scale, interpolation="nearest")
    for width, color in ((2.6, "white"), (1.2, "black")):
        axis.plot(*marked, "o", markersize=5, markerfacecolor="none", markeredgecolor=color,
                  markeredgewidth=width)  # fmt: skip
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_color(_EDGE)


def of_times(grids: Mapping[str, np.ndarray]) -> Picture:
    """Draw the times of each grid as points on a line from noise to data."""
    figure = Figure(figsize=(6.4, 0.62 + 0.3 * len(grids)), layout="constrained")
    axis = figure.subplots()
    for place, times in enumerate(grids.values()):
        axis.plot((0, 1), (place, place), color="#cccccc", linewidth=1, zorder=1)
        axis.plot(times, np.full(len(times), place), "o", markersize=5, color="#0072b2", zorder=2)
    axis.set_yticks(range(len(grids)), list(grids))
    axis.set(xlim=(-0.02, 1.02), ylim=(len(grids) - 0.5, -0.5), xlabel="t, from noise (0) to data (1)")
    axis.tick_params(labelsize=8, colors=_INK, left=False)
    axis.xaxis.label.set(fontsize=8, color=_INK)
    axis.spines[["top", "right", "left"]].set_visible(False)
    return Picture(rounded(np.concatenate(list(grids.values()))), figure)
