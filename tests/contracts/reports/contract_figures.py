"""What holds of every figure, drawn from the example that its own file gives."""

import io
import warnings
from functools import cache
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from PIL import Image

from analysis.figures.base import FIGURES, MOST_BYTES, SECTIONS, Drawing, StudyFigure, drawing
from analysis.figures.drawing.palette import INK
from analysis.figures.examples.study import example, nothing


def drawn(spec: str) -> tuple[StudyFigure, Figure, Drawing]:
    """A figure, what it draws of its example, and that as files."""
    one = FIGURES.load(spec)()
    material = one.example()
    found = one.draw(material)
    assert found is not None, "its example has nothing for it: override `example`"
    return one, found, drawing(spec, one, found, material)


@cache
def _kept(spec: str, file: str) -> tuple[StudyFigure, Figure, Drawing]:
    return drawn(spec)


def made(spec: str) -> tuple[StudyFigure, Figure, Drawing]:
    """As `drawn`, once for all checks of one file."""
    return _kept(spec, FIGURES[spec].tree_sha256)


def what_it_states_can_be_read_without_importing_it(spec: str) -> None:
    entry = FIGURES[spec]
    assert entry.summary
    assert entry.is_plugin or entry.path.stem == spec
    assert entry.claims["title"].strip() == FIGURES.load(spec)().title
    assert entry.claims["section"] in SECTIONS
    alike = [one for one in FIGURES if one.claims["section"] == entry.claims["section"]]
    places = [one.claims["place"] for one in alike if one.is_plugin == entry.is_plugin]
    assert places.count(entry.claims["place"]) == 1, "two figures of a section have one place"


def the_caption_is_plain_text(spec: str) -> None:
    caption = made(spec)[2].caption
    assert caption.isprintable()
    assert caption.strip() == caption
    assert len(caption.split()) > 3
    assert "  " not in caption


def what_shows_data_says_what_it_shows(spec: str) -> None:
    """Each axis has a label, its own or of the axes that share it, or names at its ticks."""
    figure = made(spec)[1]
    figure.draw_without_rendering()
    for axes in (axes for axes in figure.axes if axes.axison):
        for which in ("x", "y"):
            shared = getattr(axes, f"get_shared_{which}_axes")().get_siblings(axes)
            labels = [getattr(one, f"get_{which}label")() for one in shared]
            ticks = [text.get_text() for text in getattr(axes, f"get_{which}ticklabels")()]
            assert any(labels) or any(c.isalpha() for text in ticks for c in text), f"{which} axis: no words"


def nothing_is_cut_off_at_the_edge(spec: str) -> None:
    figure = made(spec)[1]
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    slack = 0.01  # inches, of rounding
    assert box.x0 > -slack, f"{-box.x0:.2f} inches are left of the picture"
    assert box.y0 > -slack, f"{-box.y0:.2f} inches are below the picture"
    assert box.x1 < width + slack, f"{box.x1 - width:.2f} inches are right of the picture"
    assert box.y1 < height + slack, f"{box.y1 - height:.2f} inches are above the picture"


def the_png_is_transparent_sharp_and_not_too_large(spec: str) -> None:
    _, figure, found = made(spec)
    assert len(found.png) <= MOST_BYTES
    with Image.open(io.BytesIO(found.png)) as image:
        assert image.mode == "RGBA"
        assert image.getpixel((0, 0))[3] == 0
        assert image.width > 1.9 * 96 * figure.get_size_inches()[0], "less than twice a screen's points"
        assert len(image.convert("RGBA").getcolors(image.width * image.height) or "") > 2, "it is empty"


def the_same_twice(spec: str) -> None:
    one, two = made(spec)[2], drawn(spec)[2]
    assert one.svg == two.svg
    assert one.inline == two.inline
    assert one.png == two.png
    ElementTree.fromstring(one.svg)
    assert f"{spec}-" in one.inline or "url(#" not in one.inline


def lines_and_words_are_in_colours_that_read_on_light_and_dark(spec: str) -> None:
    """Those of the study's arms and of ink; words on coloured fields may be what they need to be."""
    one, figure, _ = made(spec)
    known = {color.lower() for color in (*one.example().palette.values(), INK)}
    figure.draw_without_rendering()
    filled = [axes for axes in figure.axes if axes.images or any(map(is_mesh, axes.collections))]
    on_fields = {id(text) for axes in filled for text in axes.texts}
    shown = [text for text in figure.findobj(Text) if text.get_text().strip() and id(text) not in on_fields]
    lines = [line for line in figure.findobj(Line2D) if line.get_visible() and len(line.get_xdata())]
    for text in shown:
        assert to_hex(text.get_color()).lower() in known, text
    for line in (line for line in lines if not is_grid(line, figure)):
        is_line = line.get_linestyle() != "None"
        color = line.get_color() if is_line else line.get_markeredgecolor()
        assert to_hex(color).lower() in known, line


def is_mesh(collection: object) -> bool:
    return isinstance(collection, mpl.collections.QuadMesh)


def is_grid(line: Line2D, figure: Figure) -> bool:
    """Whether a line belongs to an axis, whose colours are the style's."""
    axes = [axes for axes in figure.axes if isinstance(axes, Axes)]
    return any(line in axis.findobj(Line2D) for one in axes for axis in (one.xaxis, one.yaxis))


def a_study_with_nothing_has_no_figure(spec: str) -> None:
    assert FIGURES.load(spec)().draw(nothing()) is None


def small_and_turned_round_studies_are_drawn_or_left_out(spec: str) -> None:
    one = FIGURES.load(spec)()
    for material in (example(seeds=1), example(seeds=2), example(("none",)), example(("none",), 1),
                     example(better="higher"), example([f"arm-{i:02d}" for i in range(10)])):  # fmt: skip
        if (found := one.draw(material)) is not None:
            found.draw_without_rendering()
            assert one.caption(material)


def nothing_global_is_changed(spec: str) -> None:
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("error")
        mpl.rcdefaults()  # an earlier test may have had a figure change them
        before = dict(mpl.rcParams)
        drawn(spec)
        assert dict(mpl.rcParams) == before
    assert pyplot.get_fignums() == []


CHECKS = [
    what_it_states_can_be_read_without_importing_it,
    the_caption_is_plain_text,
    what_shows_data_says_what_it_shows,
    nothing_is_cut_off_at_the_edge,
    the_png_is_transparent_sharp_and_not_too_large,
    the_same_twice,
    lines_and_words_are_in_colours_that_read_on_light_and_dark,
    a_study_with_nothing_has_no_figure,
    small_and_turned_round_studies_are_drawn_or_left_out,
    nothing_global_is_changed,
]
