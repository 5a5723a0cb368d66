"""Reports of studies that scored several averages of the weights: only one is the endpoint's."""

from dataclasses import replace

import pytest
from report_pages import call_report, page_of, texts
from report_stores import ARMS, MADE_UP, _scores, definition, made_up, study_in, uri_of

from analysis import tables
from analysis.figures.base import FIGURES
from analysis.judging.judge import judge

SHIFT = {"raw": 100.0, "power": -5.0}
"""how much worse than the endpoint's FD that of the others is"""


def of_all(*args):
    """Scores of the endpoint's average, and the same of others, made worse."""
    for one in _scores(*args):
        yield one
        for name, more in SHIFT.items():
            key, worse = replace(one.key, ema=name), more * one.key.metric.startswith("fd_")
            yield replace(one, key=key, value=one.value + worse, images_sha256=f"{name} {one.images_sha256}")


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """The same made-up study twice: scored by one average, and by three."""
    wanted, value = definition(ARMS, range(3)), lambda arm, seed: 20.0 + seed - 2 * (arm != "learned")
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "three")]
    made_up(folders[0], wanted, value, alike=("rope2d", "twin"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("report_stores._scores", of_all)
        made_up(folders[1], wanted, value, alike=("rope2d", "twin"))
    return folders


@pytest.fixture(scope="module")
def studies(stores):
    return [study_in(folder, MADE_UP) for folder in stores]


def test_tables_are_as_if_there_were_no_others(studies):
    one, three = studies
    assert len(three.scores) == 3 * len(one.scores)
    assert three.endpoint().equals(one.endpoint())
    assert three.same_models == one.same_models != []
    for table in (tables.sampler_table, tables.stability_table, tables.spread_table, tables.infinity_table):
        assert table(three).equals(table(one)), table.__name__
    for scores in (tables.final_scores, tables.size_scores, tables.curve_scores):
        assert set(scores(three)["ema"]) == {"0.9"}, scores.__name__
    assert tables.other_metrics(three) == tables.other_metrics(one)
    assert [c.verdict for c in judge(three)] == [c.verdict for c in judge(one)]


def test_one_table_has_them_all(studies):
    one, three = studies
    assert tables.average_table(one).empty
    table = tables.average_table(three)
    assert list(dict.fromkeys(table["average"])) == ["0.9", "power", "raw"]
    assert list(table["arm"]) == 3 * list(ARMS)
    means = table.set_index(["average", "arm"])["mean"]
    for arm in ARMS:
        own = three.endpoint()
        mean = own.loc[own["arm"] == arm, "value"].mean()
        assert means["0.9", arm] == pytest.approx(mean)
        for name, more in SHIFT.items():
            assert means[name, arm] == pytest.approx(mean + more)


def test_pages_say_so_only_where_there_are_several(stores):
    for folder, several in zip(stores, (False, True), strict=True):
        page, markdown = texts(folder, MADE_UP)
        assert ("Averages of the weights" in page.text) == several
        assert ("| raw | 1" in markdown) == several


@pytest.mark.slow
def test_the_whole_report_is_written_with_every_figure(stores, tmp_path):
    for folder, out in zip(stores, ("one", "three"), strict=True):
        assert call_report("--study", MADE_UP, "--uri", uri_of(folder), "--out", tmp_path / out) == 0
    figures = [
        sorted(p.name for p in (tmp_path / out / MADE_UP / "figures").iterdir()) for out in ("one", "three")
    ]
    assert figures[0] == figures[1]
    assert len(figures[0]) > len(FIGURES.names())  # a PNG and an SVG each
    assert "figure" in page_of(tmp_path / "three" / MADE_UP / "index.html").text.lower()
