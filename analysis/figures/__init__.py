"""The figures of a report: which there are, and their PNG and SVG. Captions stand in the templates."""

import io
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from analysis import load, tables
from analysis.figures import plots
from analysis.figures.palette import INK
from analysis.stats import Comparison
from analysis.study import Study
from experiments.records.definition import Definition
from rope_dit.errors import UserError
from rope_dit.guidance_spec import GuidanceSpec
from rope_dit.samplers.spec import SamplerSpec

NAMES = ("steps", "nfe", "forest", "seeds", "pairs", "samples", "loss", "samplers", "bias")
_MOST_BYTES = 2_000_000  # of a PNG that stands in the page itself
_DPI = 192  # twice a screen's

Draws = Iterator[tuple[str, Callable[[], Figure]]]


@dataclass(frozen=True)
class Drawing:
    """A figure as files, on a transparent ground.

    Attributes:
        name: one of NAMES.
        png: the picture.
        svg: the same as an <svg> element of its own; text stays text.
    """

    name: str
    png: bytes
    svg: str

    @property
    def inline(self) -> str:
        """The <svg> for a page with others: grey takes the page's colour, text its font; ids are unique."""
        width = int(float(re.findall(r'\swidth="([\d.]+)pt"', self.svg)[0]) * 4 / 3)
        fit = f' style="max-width: {width}px; min-width: {min(width, 460)}px; stroke-linejoin: round"'
        svg = re.sub(r'\swidth="[^"]*pt" height="[^"]*pt"', fit, self.svg, count=1)
        svg = re.sub(r"\s*<style.*?</style>", "", svg, flags=re.DOTALL)  # it would hold for the whole page
        svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg.replace(INK, "currentColor"))
        used = set(re.findall(r'(?:url\(|href=")#([^")]+)', svg))
        svg = re.sub(r'\sid="([^"]*)"', lambda m: f' id="{self.name}-{m[1]}"' if m[1] in used else "", svg)
        return re.sub(r'(url\(|href=")#', rf"\1#{self.name}-", svg)


def draw(
    study: Study, curves: pd.DataFrame, compared: list[Comparison], pictures: Mapping[str, bytes]
) -> dict[str, Drawing]:
    """Draw every figure that the study has scores for, in the order of NAMES.

    Args:
        study: the study.
        curves: points of its runs, as `load.curves` gives them.
        compared: its comparisons; none while it is partial.
        pictures: sample grids as PNG, arm by arm.
    """
    found = [*_scores(study), *_arms(study, compared)]
    if pictures:
        found.append(("samples", lambda: _grids(pictures)))
    losses = curves[curves["key"].str.startswith("loss_by_t/")]
    if len(losses):
        found.append(("loss", lambda: plots.loss_by_t(losses, study.arms, _palette(study))))
    found += _samplers(study)
    return {name: _drawing(name, make()) for name, make in found}


def sample_pictures(study: Study, uri: str | None) -> tuple[dict[str, bytes], int]:
    """Sample grids at the endpoint, arm by arm, of the first seed that has most of them; and that seed."""
    name = _picture_name(study.definition)
    done = study.cells[study.cells["state"] == "done"]
    if done.empty or not name:
        return {}, 0
    counts = done["seed"].value_counts()
    seed = min(int(s) for s in done["seed"] if counts[s] == counts.max())
    of_seed = done[done["seed"] == seed]
    found = load.files(list(of_seed["run_id"]), name, uri)
    pairs = zip(of_seed["arm"], of_seed["run_id"], strict=True)
    return {arm: found[run_id] for arm, run_id in pairs if run_id in found}, seed


def _picture_name(definition: Definition) -> str:
    end = definition.endpoint
    try:
        slug = SamplerSpec.parse(end.sampler).slug
    except UserError:  # of a plugin that is not here
        return ""
    guidance = GuidanceSpec.parse(end.guidance).slug
    return f"pictures/{end.train_step:08d}-{slug}-{guidance}-seed{end.sampling_seed}.png"


def _scores(study: Study) -> Draws:
    curve, last = tables.curve_scores(study), tables.final_scores(study)
    end, palette = study.definition.endpoint, _palette(study)
    metric, better = end.metric, end.better
    if curve["train_step"].nunique() > 1:
        floor = float(curve["real_floor"].mean())
        yield "steps", lambda: plots.score_against_steps(curve, metric, study.arms, better, floor, palette)
    if last["nfe"].nunique() > 1:
        at = float(last["real_floor"].mean())
        yield "nfe", lambda: plots.score_against_nfe(last, metric, study.arms, at, palette)


def _arms(study: Study, compared: list[Comparison]) -> Draws:
    values, end, palette = study.endpoint(), study.definition.endpoint, _palette(study)
    if compared:
        yield "forest", lambda: plots.forest(compared, end.better, palette)
    if values["arm"].nunique() > 1:
        yield "seeds", lambda: plots.paired_lines(values, study.definition.baseline, palette)
        yield "pairs", lambda: plots.all_pairs(values, study.paired, end.better)


def _samplers(study: Study) -> Draws:
    metric, palette = study.definition.endpoint.metric, _palette(study)
    if not tables.sampler_table(study).empty:
        yield "samplers", lambda: plots.equal_nfe(tables.final_scores(study), metric, study.arms, palette)
    if not tables.infinity_table(study).empty:
        yield "bias", lambda: plots.n_bias(tables.size_scores(study), metric, study.arms, palette)


def _palette(study: Study) -> dict[str, str]:
    return plots.colors(study.arms)


def _grids(pictures: Mapping[str, bytes]) -> Figure:
    with tempfile.TemporaryDirectory() as folder:
        files = {arm: Path(folder) / f"{i}.png" for i, arm in enumerate(pictures)}
        for arm, file in files.items():
            file.write_bytes(pictures[arm])
        return plots.sample_grids(files)


def _drawing(name: str, figure: Figure) -> Drawing:
    return Drawing(name, _png(figure), _svg(figure, name))


def _png(figure: Figure) -> bytes:
    for dpi in (_DPI, _DPI // 2):
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=dpi, transparent=True)
        if file.tell() <= _MOST_BYTES:
            break
    return file.getvalue()


def _svg(figure: Figure, name: str) -> str:
    """SVG whose bytes depend on the figure alone."""
    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    return re.sub(r"\s*<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL).strip()
