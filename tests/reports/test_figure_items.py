"""A figure is one file: what each states is read from it, and that of a plug-in stands in the report."""

import contract_figures
import pytest
from report_pages import call_report, page_of, store_fixture, texts, tiny_fixture, write  # noqa: F401  fixtures
from report_stores import NAME, study_in, uri_of

from analysis import load, report
from analysis.figures.base import FIGURES, SECTIONS, Material, draw
from analysis.judging.judge import judge
from rope_dit import registry
from rope_dit.errors import UserError

MINE = '''
import time

from matplotlib import pyplot

from analysis.figures.base import FIGURES, StudyFigure
from analysis.figures.drawing.palette import figure, style


@FIGURES.register("medians")
class Medians(StudyFigure):
    """Medians of the arms."""

    title = "Medians of all [arms]"
    section = "SECTION"
    place = PLACE
    exploratory = True

    def caption(self, material):
        return f"Medians of {material.metric} & nothing <else>, {material.end.better} is better."

    def draw(self, material):
        values = material.study.endpoint().groupby("arm")["value"].median()
        with style():
            made = figure()
            axes = made.subplots()
            axes.bar(range(len(values)), values)
            axes.set(xlabel="arm", ylabel="median")
        return made if len(values) > FEWEST else None
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A function that drops the file into a folder of plug-ins; all registries forget it afterwards."""
    for name in FIGURES.names():  # a file is imported once, and what it registers must outlive the copy below
        FIGURES.load(name)
    for each in registry.REGISTRIES.values():
        monkeypatch.setattr(each, "_entries", None)
        monkeypatch.setattr(each, "_made", dict(each._made))

    def add(
        section: str = "figures", place: int = 15, fewest: object = 0, change: str = "", to: str = ""
    ) -> None:
        assert change in MINE
        text = MINE.replace(change, to) if change else MINE
        text = text.replace("SECTION", section).replace("PLACE", str(place)).replace("FEWEST", str(fewest))
        (tmp_path / "plugins").mkdir()
        (tmp_path / "plugins" / "mine.py").write_text(text)
        registry.add_plugins(tmp_path / "plugins")

    yield add
    registry.PLUGINS.clear()


def by_place(names) -> list[str]:
    """Names of figures in the order of a page, from what their files state."""
    claims = {name: FIGURES[name].claims for name in names}
    return sorted(names, key=lambda n: (SECTIONS.index(claims[n]["section"]), claims[n]["place"], n))


@pytest.mark.parametrize(
    "section", [SECTIONS[0], *(pytest.param(name, marks=pytest.mark.slow) for name in SECTIONS[1:])]
)
def test_a_new_figure_is_one_file(store, plugin, section):
    plugin(section)
    folder = write(store)
    page, markdown = page_of(folder / "index.html"), (folder / "report.md").read_text()
    shown = [i.removeprefix("figure-") for i in page.all("id") if i.startswith("figure-")]
    assert "medians" in shown
    assert shown == by_place(shown)
    assert "Medians of all [arms]" in page.text
    assert "Medians of FD (digits) & nothing <else>, lower is better." in page.text
    assert (
        r"*Medians of all \[arms\] (exploratory).* Medians of FD (digits) &amp; nothing &lt;else&gt;"
        in markdown
    )
    assert "(figures/medians.png)" in markdown
    for ending in ("png", "svg"):
        assert (folder / "figures" / f"medians.{ending}").stat().st_size > 1000


@pytest.mark.slow
def test_the_command_takes_a_folder_of_figures(store, tmp_path, plugin):
    plugin(fewest=99)
    registry.PLUGINS.clear()
    for each in registry.REGISTRIES.values():
        each._entries = None
    assert "medians" not in FIGURES.names()
    assert call_report("--study", NAME, "--uri", uri_of(store), "--plugins", tmp_path / "plugins",
                       "--out", tmp_path / "reports") == 0  # fmt: skip
    assert "medians" in FIGURES.names()


def test_a_figure_with_nothing_to_draw_is_left_out(store, plugin):
    plugin(fewest=99)
    drawn = draw(material_of(store))
    assert "medians" not in drawn
    assert "samples" not in drawn  # no pictures
    assert list(drawn) == by_place(drawn)
    assert len(drawn) > 3


@pytest.mark.slow
def test_a_figure_of_ones_own_is_tried_as_those_that_ship_are(plugin):
    plugin()
    for check in contract_figures.CHECKS:
        check("medians")


SLOW = pytest.mark.slow
ON_BOTH = "lines_and_words_are_in_colours_that_read_on_light_and_dark"


@pytest.mark.parametrize(
    ("change", "to", "check"),
    [
        ('xlabel="arm", ', "", "what_shows_data_says_what_it_shows"),
        ('"median"', "str(time.perf_counter())", "the_same_twice"),
        ('"median"', '"m" * 300', "nothing_is_cut_off_at_the_edge"),
        ("axes.bar", "axes.plot", ON_BOTH),
        pytest.param("figure()", "pyplot.figure()", "nothing_global_is_changed", marks=SLOW),
        pytest.param(
            "with style():",
            "if True:",
            ON_BOTH,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "if len(values) > FEWEST", "if True", "a_study_with_nothing_has_no_figure", marks=pytest.mark.slow
        ),
        pytest.param("> FEWEST", "> 99", "the_caption_is_plain_text", marks=SLOW),
        pytest.param(
            "Medians of {material",
            "Medians\\nof {material",
            "the_caption_is_plain_text",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            '"""Medians of the arms."""',
            "",
            "what_it_states_can_be_read_without_importing_it",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            '"SECTION"', '"annex"', "what_it_states_can_be_read_without_importing_it", marks=pytest.mark.slow
        ),
    ],
)
def test_the_contract_finds_what_breaks_it(plugin, change, to, check):
    plugin(change=change, to=to)
    with pytest.raises(AssertionError):
        getattr(contract_figures, check)("medians")


def test_a_section_that_is_not_there_is_refused(store, plugin):
    plugin("appendix", place=0)
    with pytest.raises(UserError, match="figure medians: section got 'appendix', expected one of evidence"):
        draw(material_of(store))


def test_an_error_in_a_plug_in_names_its_line(store, plugin):
    plugin(fewest="1 / 0")
    with pytest.raises(UserError, match=r"figure .*mine.py:\d+\): ZeroDivisionError"):
        report.compute(NAME, uri_of(store))


def material_of(store) -> Material:
    """All but the pictures."""
    study = study_in(store)
    return Material(study, load.curves(NAME, uri_of(store)), judge(study), {}, 0)


def test_no_figure_and_no_empty_frame_for_them(store):
    page, markdown = texts(store)
    assert "nothing to draw" in page.text
    assert "figures" not in page.all("class")
    assert "![" not in markdown
