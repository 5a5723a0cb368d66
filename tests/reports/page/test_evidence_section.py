"""The section on 2D RoPE, and that on guidance: tables and sentences are made of the numbers."""

from dataclasses import replace

import pandas as pd
import pytest
from report_pages import Page

from analysis import report
from analysis.figures.base import draw
from analysis.figures.examples.evidence import example_evidence
from analysis.figures.examples.study import example
from analysis.judging.evidence import evidence
from analysis.page import evidence as page
from analysis.page.render import render
from analysis.study import Study

HEADING = "Does 2D RoPE keep spatial consistency better? The evidence"


def texts(study: Study, drawings=None) -> tuple[Page, str]:
    made = render(report.contents_of(study, example().curves, drawings or {}), [])
    return Page(made["index.html"]), made["report.md"]


@pytest.fixture(scope="module")
def study() -> Study:
    return example_evidence().study


def test_the_section_has_verdict_conclusion_and_tables(study):
    html, markdown = texts(study)
    for text in (html.text, markdown):
        assert HEADING in text
        assert "confirmatory verdict on the two, by FD (digits)" in text
        assert "Layout accuracy" in text
        assert (
            "Of the measurements at the trained grid 3 (Layout accuracy, Layout found and FD (digits)) put"
            in text
        )
        assert "1 (Seam, off from real) below it, and 1 (Held-out loss) cannot tell the two apart" in text
        assert "rope2d is above learned in 6 of 9 measurements, below it in 3, and not told apart" in text
        assert "they are not corrected for their number" in text
        assert "digits, networks of at most 1,000 parameters and 800 steps of training" in text
        assert "neither better nor worse" in text
    assert "evidence" in html.all("id")
    assert "#evidence" in html.all("href")


def test_without_measurements_there_is_no_section():
    html, markdown = texts(example().study)
    assert HEADING not in html.text + markdown
    assert "Secondary endpoint" not in html.text + markdown
    assert not {"evidence", "guidance"} & {*html.all("id")}


def test_an_exploratory_comparison_has_no_verdict_there(study):
    definition = replace(
        study.definition, comparisons=(("none", "learned"),), explored=(("rope2d", "learned"),)
    )
    html, markdown = texts(replace(study, definition=definition))
    assert HEADING in html.text
    assert "confirmatory verdict on the two" not in html.text + markdown


def test_a_study_that_is_not_whole_concludes_nothing(study):
    missing = study.cells["state"].mask(study.cells.index == 0, "missing")
    html, markdown = texts(replace(study, cells=study.cells.assign(state=missing)))
    assert HEADING in html.text
    assert "put rope2d above" not in html.text + markdown
    assert page.conclusion(replace(study, withheld="changed"), evidence(study)) == ""


def test_one_seed_gives_no_conclusion():
    study = example_evidence(seeds=1).study
    assert page.conclusion(study, evidence(study)).startswith("No measurement has an interval")


def test_no_difference_is_said_to_be_none(study):
    scores = study.scores.assign(arm=study.scores["arm"].where(study.scores["arm"] != "rope2d", "gone"))
    learned = study.scores[study.scores["arm"] == "learned"]
    noise = learned["seed"].map({0: 0.01, 1: -0.01, 2: 0.02, 3: -0.02})
    twin = learned.assign(
        arm="rope2d", run_id="rope2d-" + learned["seed"].map(str), value=learned["value"] + noise
    )
    same = replace(study, scores=pd.concat([scores, twin], ignore_index=True))
    said = page.conclusion(same, evidence(same))
    assert "none put rope2d above learned, none below it, and 5 (" in said


def test_exact_equivariance_is_explained_where_it_was_found(study):
    assert not any("exactly equivariant" in line for line in page.remarks(study, evidence(study)))
    shifts = study.scores["metric"].str.startswith("shift_error") & (study.scores["arm"] == "none")
    none = replace(study, scores=study.scores.assign(value=study.scores["value"].mask(shifts, 1e-9)))
    [said] = [line for line in page.remarks(none, evidence(none)) if "Shift error" in line]
    assert "none is exactly equivariant" in said
    assert "whole objects do not follow" in said
    table = page.means(evidence(none))
    titles = [column.title for column in table.columns]
    [row] = [row for row in table.rows if row[0] == "none"]
    assert row[titles.index("Shift error, border")] == "0"


def test_another_baseline_has_a_row_for_the_two_arms(study):
    definition = replace(
        study.definition, baseline="none", comparisons=(("learned", "none"), ("rope2d", "none"))
    )
    other = replace(study, definition=definition)
    table = page.differences(evidence(other), other)
    assert [(row[0], row[1]) for row in table.rows] == [
        ("learned", "none"), ("rope2d", "none"), ("rope2d", "learned")]  # fmt: skip
    assert len({len(row) for row in table.rows} | {len(table.columns)}) == 1
    grids = page.other_grids(evidence(other))
    assert len({len(row) for row in grids.rows} | {len(grids.columns)}) == 1
    assert len(grids.rows) == 3 * 3


def test_guidance_has_a_table_and_a_curve(study):
    material = example_evidence()
    html, markdown = texts(study, draw(material))
    for text in (html.text, markdown):
        assert "Secondary endpoint, declared before the first run" in text
        assert "Chosen on even samplings" in text
    assert {"guidance", "figure-guidance_curve", "figure-evidence", "figure-held_out_loss"} <= {
        *html.all("id")
    }
    assert "(figures/attention.png)" in markdown


def test_the_table_lies_beside_the_page(study, tmp_path):
    contents = report.contents_of(study, example().curves, {})
    folder = report.write(contents, tmp_path).parent
    lines = (folder / "evidence.csv").read_text().splitlines()
    assert len(lines) == 1 + len(contents.evidence)
    assert lines[0].startswith("metric,title,tokens,extrapolation,better,endpoint,arm,seeds,mean,low,high")
    assert (folder / "best_guidance.csv").is_file()
    plain = report.contents_of(example().study, example().curves, {})
    assert "evidence.csv" not in dict(report._frames(plain))
