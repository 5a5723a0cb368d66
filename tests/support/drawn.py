"""Frames to draw, and what a figure shows, read back from it."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex, to_rgb

EULER, HEUN = "euler:grid=uniform,steps={}", "heun:grid=uniform,steps={}"
ARMS = ["rope2d", "learned", "none"]
ONE = ((EULER.format(4), 4.0),)
FOUR = ((EULER.format(4), 4.0), (HEUN.format(2), 4.0), (EULER.format(8), 8.0), (HEUN.format(4), 8.0))


def value_of(arm, seed, nfe=4, step=60):
    """Score of a cell: seeds differ more than arms do."""
    place = ARMS.index(arm)
    return 10 + 2 * place + 0.3 * seed**2 + 0.2 * place * seed + 8 / nfe + 100 / step


def scores(arms=ARMS, seeds=3, steps=(60,), samplers=ONE, n=(100,), **more):
    """Rows as of `load.scores`; the frame adds 50 / n to `value_of`."""
    same = {"extractor": "digits", "ema": "0.9", "metric": "fd_digits", "sampling_seed": 0}
    same |= {"tokens": "trained", "extrapolation": "none", "classes": "data", "better": "lower"}
    rows = [
        {"arm": arm, "seed": seed, "train_step": step, "sampler": sampler, "nfe": nfe,
         "guidance": guidance(1), "n": k, **same, "value": value_of(arm, seed, nfe, step) + 50 / k}
        for arm in arms for seed in range(seeds) for step in steps for sampler, nfe in samplers for k in n
    ]  # fmt: skip
    columns = ["arm", "seed", "train_step", "sampler", "nfe", "guidance", "n", *same, "value"]
    return pd.DataFrame(rows, columns=columns).assign(**more)


def guidance(weight):
    """The canonical spec."""
    return f"cfg:begin=0,end=1,weight={weight}"


def endpoint(arms=ARMS, seeds=3):
    """Values of the primary endpoint."""
    return scores(arms, seeds)[["arm", "seed", "value"]]


def losses(arms=ARMS, seeds=3):
    """Rows as of `load.curves`; before the last tenth of the steps the loss is 1000."""
    rows = [
        {"arm": arm, "seed": seed, "key": f"loss_by_t/{k}", "step": step,
         "value": (1.0 + k + seed) if step > 90 else 1000.0}
        for arm in arms for seed in range(seeds) for k in range(10) for step in (50, 89, 95, 100)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["arm", "seed", "key", "step", "value"])


def line(figure, color, axes=0):
    """x and y of the longest line of that colour."""
    mine = [ln for ln in figure.axes[axes].lines if to_hex(ln.get_color()) == color.lower()]
    found = max(mine, key=lambda ln: len(ln.get_xdata()))
    return np.asarray(found.get_xdata(), float), np.asarray(found.get_ydata(), float)


def band(figure, color, x):
    """Low and high of the band of that colour at x; None without a band there."""
    for one in figure.axes[0].collections:
        if isinstance(one, PolyCollection) and np.allclose(one.get_facecolor()[0][:3], to_rgb(color)):
            at = [y for path in one.get_paths() for px, y in path.vertices if px == x]
            if at and np.isfinite(at).all() and max(at) > min(at):
                return min(at), max(at)
    return None


def words(figure):
    """Every text in the figure."""
    found = [text.get_text() for text in figure.findobj(mpl.text.Text)]
    return "\n".join(text for text in found if text)
