"""What a figure of a report states and is drawn from, and its PNG and SVG.

Means and bands are over training seeds: scores of further sampling seeds are averaged inside their network
first. Arms without rows are named in a note, and a frame without any rows gives a figure that says so. A
`palette` overrides the colours of `colors(arms)`, for figures that see only some arms of a study. Functions
that draw raise UserError where a frame mixes scores that do not compare (n, extractor, EMA, ...).
"""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.drawing.palette import INK, colors
from analysis.figures.registry import FIGURES as FIGURES  # figures of others import it from here
from analysis.numbers import metric_title
from analysis.stats import Comparison
from analysis.study import Study
from experiments.records.definition import Endpoint
from rope_dit.errors import check

Seen = tuple[pd.DataFrame, pd.DataFrame]
"""heads and maps of a network's attention, as the probe `attention` writes them"""
SECTIONS = ("evidence", "figures", "samplers", "guidance", "spread")
"""of the page, where figures may stand"""
MOST_BYTES = 2_000_000
"""of a PNG, which may stand in the page itself"""
_DPI = 192  # twice a screen's


@dataclass(frozen=True)
class Material:
    """What figures are drawn from.

    Attributes:
        study: the study.
        curves: points of its runs, as `load.curves` gives them.
        compared: its comparisons; none while it is partial.
        pictures: sample grids as PNG, arm by arm; none where there are none.
        picture_seed: their training seed.
        attention: what was seen of each arm's attention, of one training seed.
    """

    study: Study
    curves: pd.DataFrame
    compared: Sequence[Comparison]
    pictures: Mapping[str, bytes]
    picture_seed: int
    attention: Mapping[str, Seen] = field(default_factory=dict)

    @property
    def end(self) -> Endpoint:
        """The study's primary endpoint."""
        return self.study.definition.endpoint

    @property
    def metric(self) -> str:
        """Name of the endpoint's metric for readers."""
        return metric_title(self.end.metric, self.end.extractor, self.end.n)

    @property
    def palette(self) -> dict[str, str]:
        """Colour of each arm of the study."""
        return colors(self.study.arms)


class StudyFigure:
    """A figure of a report: a file that registers one is all that a new figure takes.

    Attributes:
        title: for readers.
        section: which of SECTIONS it stands in.
        place: in it, from low to high.
        exploratory: whether it shows what no verdict stands on.
        wide: whether its caption stands below it on wide screens too, not beside it.
        raster: whether the page holds its PNG, as for photographs, instead of its SVG.
    """

    title: str
    section: str = "figures"
    place: int = 1000
    exploratory: bool = False
    wide: bool = False
    raster: bool = False

    def caption(self, material: Material) -> str:
        """What the figure shows, for readers; plain text. Only asked for where it was drawn."""
        raise NotImplementedError(f"{type(self).__name__} must say what it shows")

    def draw(self, material: Material) -> Figure | None:
        """Return the figure, or None where the study has nothing for it."""
        raise NotImplementedError(f"{type(self).__name__} must draw")

    def example(self) -> Material:
        """What the figure is tried with: a made-up study. Override it where that has nothing for the figure.

        Everything that holds of all figures is tested with what is drawn from it.
        """
        from analysis.figures.examples.study import example

        return example()


@dataclass(frozen=True)
class Drawing:
    """A figure as files, on a transparent ground.

    Attributes:
        name: by which it is registered.
        figure: what it states.
        caption: what it shows.
        png: the picture.
        svg: the same as an <svg> element of its own; text stays text.
    """

    name: str
    figure: StudyFigure
    caption: str
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


def draw(material: Material) -> dict[str, Drawing]:
    """Draw every registered figure that the study has something for, by section, place and name."""
    made = {name: FIGURES.load(name)() for name in FIGURES.names()}
    for name, one in made.items():
        known = ", ".join(SECTIONS)
        check(one.section in SECTIONS, f"figure {name}: section", one.section, f"one of {known}")
    drawings = {}
    for name in sorted(made, key=lambda name: (SECTIONS.index(made[name].section), made[name].place, name)):
        if (found := made[name].draw(material)) is not None:
            drawings[name] = drawing(name, made[name], found, material)
    return drawings


def drawing(name: str, one: StudyFigure, found: Figure, material: Material) -> Drawing:
    """What `one` drew, as files."""
    return as_files(name, one, found, one.caption(material))


def as_files(name: str, one: StudyFigure, found: Figure, caption: str) -> Drawing:
    """A figure as files."""
    return Drawing(name, one, caption, _png(found), _svg(found, name))


def _png(figure: Figure) -> bytes:
    for dpi in (_DPI, _DPI // 2):
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=dpi, transparent=True)
        if file.tell() <= MOST_BYTES:
            break
    return file.getvalue()


def _svg(figure: Figure, name: str) -> str:
    """SVG whose bytes depend on the figure alone."""
    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    return re.sub(r"\s*<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL).strip()
