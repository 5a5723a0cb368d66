"""Scores that cannot be: a dash where they are exploratory, a failed cell where they are the endpoint."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from report_pages import call_report, texts, tiny_fixture  # noqa: F401
from report_stores import MADE_UP, NAME, definition, made_up, run_id, uri_of, whole_copy

from analysis import load
from experiments.records.mlflow_store import connect
from experiments.records.score import read_scores, write_scores
from experiments.records.stores.run_files import local_folder
from rope_dit.errors import UserError


@pytest.fixture
def store(tiny, tmp_path):
    return whole_copy(tiny, tmp_path)


def table(store: Path, arm: str, seed: int) -> Path:
    """scores.csv of a run in the store."""
    run = connect(uri_of(store)).get_run(run_id(store, arm, seed))
    return local_folder(uri_of(store), run) / "scores.csv"


def edit(store: Path, arm: str, seed: int, metric: str, value: object) -> None:
    """Give a metric's scores of a run another value, as if they had come out so."""
    uid = connect(uri_of(store)).get_run(run_id(store, arm, seed)).data.tags["run_uid"]
    file = table(store, arm, seed)
    scores = read_scores(file.read_text(), uid)
    changed = [replace(s, value=float(str(value))) if s.key.metric == metric else s for s in scores]
    file.write_text(write_scores(changed, uid))


def unsealed(text: str) -> list[str]:
    """Lines of a table as earlier versions wrote them, which did not say whether they were changed."""
    return [line.rpartition(",")[0] for line in text.splitlines()]


def row_of(text: str, arm: str) -> list[str]:
    """Cells of an arm's row in the main table."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {arm} |") and " of 2 |" in line)
    return [cell.strip() for cell in line.strip("| ").split(" | ")]


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("kid_digits", "nan"),
        pytest.param("precision_digits", 1.5, marks=pytest.mark.slow),
        pytest.param("recall_digits", -1, marks=pytest.mark.slow),
    ],
)
def test_one_bad_value_of_another_metric_is_a_dash_and_the_verdicts_stand(store, metric, value):
    before = texts(store)[1]
    edit(store, "rope2d", 1, metric, value)
    text = texts(store)[1]
    assert re.findall(r"^- \*\*.*", text, re.MULTILINE) == re.findall(r"^- \*\*.*", before, re.MULTILINE)
    assert sum(a != b for a, b in zip(row_of(text, "rope2d"), row_of(before, "rope2d"), strict=True)) == 1
    assert "\u2013" in row_of(text, "rope2d")
    assert row_of(text, "learned") == row_of(before, "learned")
    name = metric.replace("_", r"\_")
    cell = f"{name} of rope2d, seed 1 (run {run_id(store, 'rope2d', 1)}) is left out: got {float(value):g}"
    assert cell in text


@pytest.mark.parametrize(("value", "why"), [("nan", "which is no number"), (-5.0, "which it cannot be")])
def test_a_value_of_the_endpoint_that_cannot_be_is_a_failed_cell(store, value, why):
    edit(store, "rope2d", 1, "fd_digits", value)
    text = texts(store)[1]
    assert rf"- rope2d, seed 1: failed (fd\_digits got {float(value):g}, {why})" in text
    assert "| rope2d | 1 of 2 |" in text


def test_what_rounding_gives_is_believed(store):
    edit(store, "rope2d", 1, "fd_digits", -1e-6)
    assert "| rope2d | 2 of 2 |" in texts(store)[1]


def test_an_fid_is_held_to_what_a_distance_can_be(store):
    wanted = definition({"a": "none", "b": "none"}, range(2))
    end = {**vars(wanted.endpoint), "metric": "fid", "extractor": "inception"}
    made_up(store, definition({"a": "none", "b": "none"}, range(2), endpoint=type(wanted.endpoint)(**end)),
            lambda arm, seed: -9.0 if (arm, seed) == ("b", 1) else 5.0 + seed)  # fmt: skip
    assert "- b, seed 1: failed (fid got" in texts(store, MADE_UP)[1]


@pytest.mark.parametrize(("metric", "value"), [("fd_digits", 1.7e308), ("kid_digits", -1e200)])
def test_a_number_too_large_to_compute_with_ends_the_report_in_a_line_that_names_the_run(
    store, capsys, metric, value
):
    edit(store, "rope2d", 1, metric, value)
    assert call_report("--study", NAME, "--uri", uri_of(store), "--out", store / "reports") == 2
    run = run_id(store, "rope2d", 1)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: run {run} (rope2d, seed 1): value of {metric} got {value:g}, expected")
    assert len(line) <= 200
    edit(store, "rope2d", 1, metric, math.copysign(1e59, value))
    texts(store)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda rows: [*rows, rows[1]], r"are damaged \(ValueError: row 53: fd_digits comes again\)"),
        (lambda rows: [rows[0], rows[1].replace(",20,", ",soon,", 1), *rows[2:]], "row 1: .*'soon'"),
        (lambda rows: [*rows[:3], rows[3][:6], *rows[4:]], "row 3 has"),
        (lambda rows: [row.replace(",metric,", ",measure,") for row in rows], "has no column metric"),
    ],
    ids=["twice", "text", "torn", "header"],
)
def test_a_damaged_table_names_run_and_row(store, spoil, said):
    file = table(store, "rope2d", 1)
    file.write_text("\n".join(spoil(unsealed(file.read_text()))) + "\n")
    for read in (load.scores, load.curves):
        with pytest.raises(UserError, match=f"artifacts of run {run_id(store, 'rope2d', 1)}.*{said}"):
            read(NAME, uri_of(store))


def test_bytes_that_are_no_text_name_the_run(store):
    table(store, "rope2d", 1).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=f"artifacts of run {run_id(store, 'rope2d', 1)} are damaged"):
        load.scores(NAME, uri_of(store))
