"""Draw what `experiments.convergence` wrote: distances to the exact solution and scores against cost.

python -m analysis.figures.apart.convergence analysis/results/solvers/points.csv --out docs/solvers.png
"""

from pathlib import Path

import matplotlib.ticker as ticker
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures.apart.drawing import drawing, read_table
from analysis.figures.drawing.palette import MARKERS, colors, figure, style
from experiments.cli.main import main

COLUMNS = ("solver", "sampler", "nfe", "rms", "n")


def read(path: Path) -> pd.DataFrame:
    """Points of a table, one row a sampler. Raises UserError where it is none of these tables."""
    points = read_table(path, COLUMNS, "experiments.convergence")
    # of adaptive solvers the options are tolerances, and their points one curve
    adaptive = points["sampler"].str.contains("rtol=")
    points.loc[adaptive, "solver"] = points["sampler"].str.partition(":")[0]
    return points


def draw(points: pd.DataFrame) -> Figure:
    """Distance (left) and the first score (right) against network evaluations, a line a solver."""
    score = next(name for name in points if name not in COLUMNS)
    solvers = sorted(points["solver"].unique())
    with style():
        made = figure(9.0, 4.2)
        left, right = made.subplots(1, 2)
        for ax, value in ((left, "rms"), (right, score)):
            sns.lineplot(
                points.dropna(subset=[value]), x="nfe", y=value, hue="solver", style="solver", ax=ax,
                hue_order=solvers, style_order=solvers, palette=colors(solvers), dashes=False,
                markers=[MARKERS[i % len(MARKERS)] for i in range(len(solvers))], legend=ax is right,
                errorbar=None,
            )  # fmt: skip
            _scales(ax, sorted(points["nfe"].unique()))
        left.set(ylabel="RMS distance, pixels in [-1, 1]", title="to rk4 at 1,000 steps")
        right.set(ylabel=score, title=f"score of {points['n'].iloc[0]:,} pictures")
        right.legend(loc="upper left", bbox_to_anchor=(1.02, 1.02), title=None, fontsize=8.5)
    return made


def _scales(ax: Axes, nfes: list[float]) -> None:
    ax.set(xscale="log", yscale="log", xlabel="network evaluations a picture")
    shown = [nfe for nfe in nfes if nfe in {2**k for k in range(20)}] or nfes
    ax.xaxis.set_major_locator(ticker.FixedLocator(shown))
    ax.xaxis.set_major_formatter(ticker.FormatStrFormatter("%d"))
    ax.xaxis.set_minor_locator(ticker.NullLocator())
    ax.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    ax.yaxis.set_minor_formatter(ticker.LogFormatter(labelOnlyBase=False, minor_thresholds=(1.5, 0.5)))


if __name__ == "__main__":
    main(drawing("analysis.figures.apart.convergence", __doc__, lambda path: draw(read(path))))
