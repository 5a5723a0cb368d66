"""Draw what the probe `attention` saw: how far the heads of each layer look, at how many, and three maps.

python -m analysis.figures.apart.attention FOLDER --out attention.png

FOLDER holds `heads.csv` and `maps.csv`, which `Seen.heads()` and `Seen.maps()` of the probe give.
"""

from pathlib import Path
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from analysis.figures.apart.drawing import drawing, read_table
from analysis.figures.drawing.palette import SAFE, figure, style
from experiments.cli.main import main

TABLES = {
    "heads": ("layer", "head", "distance", "entropy", "share"),
    "maps": ("layer", "head", "query", "row", "column", "share"),
}
"""columns of each file"""


def read(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Heads and maps. Raises UserError where a table is none of the probe's."""
    heads, maps = (
        read_table(folder / f"{name}.csv", columns, "the probe attention") for name, columns in TABLES.items()
    )
    return heads, maps


def draw(heads: pd.DataFrame, maps: pd.DataFrame) -> Figure:
    """A dot a head against its layer, and below each query's shares, averaged over the heads of a layer."""
    layers, queries = sorted(maps["layer"].unique()), list(maps["query"].unique())
    with style():
        made = figure(max(6.5, 1.3 * len(layers)), 3.0 + 1.3 * len(queries))
        parts: Any = made.subfigures(2, 1, height_ratios=[3.0, 1.3 * len(queries)])
        above, below = parts
        _dots(above, heads)
        axes = below.subplots(len(queries), len(layers), squeeze=False)
        for row, query in zip(axes, queries, strict=True):
            of_query = maps[maps["query"] == query]
            for ax, layer in zip(row, layers, strict=True):
                of_layer = of_query[of_query["layer"] == layer]
                picture = of_layer.pivot_table(index="row", columns="column", values="share", aggfunc="mean")
                ax.imshow(picture.to_numpy(), cmap="viridis", vmin=0)
                ax.set(xticks=[], yticks=[])
                ax.grid(visible=False)
            row[0].set_ylabel(query)
        for ax, layer in zip(axes[0], layers, strict=True):
            ax.set_title(f"layer {layer}")
    return made


def _dots(part: SubFigure, heads: pd.DataFrame) -> None:
    wanted = {"distance": "mean distance, tokens", "share": "entropy / log T"}
    for ax, (value, said) in zip(part.subplots(1, 2), wanted.items(), strict=True):
        sns.scatterplot(heads, x="layer", y=value, color=SAFE[0], ax=ax, alpha=0.7)
        ax.set(ylabel=said, ylim=(0, 1.05 * max(heads[value].max(), value == "share") or 1))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))


if __name__ == "__main__":
    main(drawing("analysis.figures.apart.attention", __doc__, lambda folder: draw(*read(folder))))
