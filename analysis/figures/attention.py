"""Where tokens look, arm by arm."""

import io
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis import load
from analysis.figures.base import FIGURES, Material, Seen, StudyFigure
from analysis.figures.drawing.palette import Palette, arm_colors, figure, label_ends, sentence, style
from analysis.figures.examples.evidence import example_evidence
from analysis.study import Study

_QUERY = "centre"  # whose map is drawn, or the first


@FIGURES.register("attention")
class Attention(StudyFigure):
    """Mean distance and entropy of attention by layer, and the map of the central token, of each arm."""

    title = "Where tokens look"
    section = "evidence"
    place = 30
    exploratory = True
    wide = True
    raster = True

    def caption(self, material: Material) -> str:
        """What the figure shows, for readers."""
        return (
            "Attention on held-out pictures, of one training seed. Above: how far the heads of a layer "
            "look, in tokens, and their entropy as a share of what looking at all alike would have; lines "
            "are means over heads, dots heads. Below: shares that the central token gives to all, mean over "
            "the heads of a layer, each map on a scale of its own. Neither near nor far is better."
        )

    def draw(self, material: Material) -> Figure | None:
        """Return the figure, or None where there is nothing to draw."""
        return attention(material.attention, material.palette) if material.attention else None

    def example(self) -> Material:
        """A study with all measurements."""
        return example_evidence()


def attention(seen: Mapping[str, Seen], palette: Palette = None) -> Figure:
    """Dots and lines by layer, then a row of maps an arm.

    Args:
        seen: heads and maps of each arm, as the probe writes them.
        palette: colours by arm.
    """
    if not seen:
        return sentence("No attention was recorded.")
    tints = arm_colors(list(seen), palette)
    layers = max(heads["layer"].max() + 1 for heads, _ in seen.values())
    with style():
        made = figure(max(8.0, 1.6 + 0.95 * layers), 3.0 + 0.95 * len(seen))
        parts: Any = made.subfigures(2, 1, height_ratios=[3.0, 0.95 * len(seen)])
        above, below = parts
        said = {"distance": "mean distance, tokens", "share": "entropy / log T"}
        for ax, (name, words) in zip(above.subplots(1, 2), said.items(), strict=True):
            _by_layer(ax, {arm: heads for arm, (heads, _) in seen.items()}, name, tints)
            ax.set(xlabel="layer", ylabel=words)
        axes = below.subplots(len(seen), layers, squeeze=False)
        for row, (arm, (_, maps)) in zip(axes, seen.items(), strict=True):
            _maps(row, maps)
            row[0].annotate(arm, (-0.15, 0.5), xycoords="axes fraction", ha="right", va="center",
                            color=tints[arm], annotation_clip=False)  # fmt: skip
        for layer, ax in enumerate(axes[0]):
            ax.set_title(f"layer {layer}", fontsize=8.5)
    return made


def attention_seen(study: Study, uri: str | None, seed: int) -> dict[str, Seen]:
    """Heads and maps by arm, as the probe left them at the endpoint, of runs of one training seed."""
    folder = f"probes/{study.definition.endpoint.train_step:08d}-attention"
    cells = study.cells[(study.cells["seed"] == seed) & (study.cells["state"] == "done")]
    arms = dict(zip(cells["run_id"], cells["arm"], strict=True))
    tables = {
        name: {
            run_id: pd.read_csv(io.BytesIO(content))
            for run_id, content in load.files([*arms], f"{folder}/{name}.csv", uri).items()
        }
        for name in ("heads", "maps")
    }
    both = [run_id for run_id in arms if all(run_id in found for found in tables.values())]
    return {arms[run_id]: (tables["heads"][run_id], tables["maps"][run_id]) for run_id in both}


def _by_layer(ax: Axes, heads: Mapping[str, pd.DataFrame], name: str, tints: Mapping[str, str]) -> None:
    ends = []
    for arm, own in heads.items():
        means = own.groupby("layer")[name].mean()
        ax.plot(own["layer"], own[name], "o", color=tints[arm], ms=3, alpha=0.4)
        ax.plot(means.index, means, "-", color=tints[arm], lw=1.4)
        ends.append((float(means.iloc[-1]), arm, tints[arm]))
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    label_ends(ax, ends, gap=0.075)


def _maps(row: Any, maps: pd.DataFrame) -> None:
    queries = list(maps["query"].unique())
    own = maps[maps["query"] == (_QUERY if _QUERY in queries else queries[0])]
    for layer, ax in enumerate(row):
        ax.set_axis_off()
        one = own[own["layer"] == layer]
        if len(one):
            shares = one.pivot_table(index="row", columns="column", values="share", aggfunc="mean")
            ax.imshow(shares.to_numpy(), cmap="viridis", vmin=0)
