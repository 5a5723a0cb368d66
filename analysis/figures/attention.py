"""Draw what the probe `attention` saw: how far the heads of each layer look, at how many, and three maps.

python -m analysis.figures.attention FOLDER --out attention.png

FOLDER holds `heads.csv` and `maps.csv`, which `Seen.heads()` and `Seen.maps()` of the probe give.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import seaborn as sns
import tyro
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from analysis.figures.palette import SAFE, figure, style
from experiments.cli.arguments import parse
from experiments.cli.main import OK, StopFlag, main
from experiments.cli.outputs import check_folder
from rope_dit.errors import UserError

HEADS = ("layer", "head", "distance", "entropy", "share")
MAPS = ("layer", "head", "query", "row", "column", "share")


@dataclass(frozen=True, kw_only=True)
class FigureConfig:
    """What to draw."""

    seen: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """folder with heads.csv and maps.csv"""
    out: Path
    """PNG or SVG to write"""


def command(args: list[str], stop: StopFlag) -> int:
    """Draw and write; returns the exit code."""
    wanted = parse(FigureConfig, None, args, "python -m analysis.figures.attention", __doc__)
    check_folder(wanted.out.parent, "--out")
    made = draw(read(wanted.seen / "heads.csv", HEADS), read(wanted.seen / "maps.csv", MAPS))
    wanted.out.parent.mkdir(parents=True, exist_ok=True)
    made.savefig(wanted.out, facecolor="white")
    print(wanted.out)
    return OK


def read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Rows of a table. Raises UserError where it lacks one of these columns, or rows."""
    try:
        rows = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {error}; expected a table of the probe attention.") from None
    if missing := [name for name in columns if name not in rows]:
        raise UserError(f"{path} has no column {missing[0]}; expected a table of the probe attention.")
    if rows.empty:
        raise UserError(f"{path} has no rows; expected a table of the probe attention.")
    return rows


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
    main(command)
