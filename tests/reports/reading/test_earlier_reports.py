"""A report that would have less than the one in its place: said, and the earlier one is kept."""

import json
import shutil
from pathlib import Path

import pytest
from report_pages import call_report, tiny_fixture, write_plain  # noqa: F401
from report_stores import ARMS, NAME, redefine, run_id, uri_of, whole_copy

from analysis.page import earlier
from experiments.records.definition import Replacement
from experiments.records.mlflow_store import connect
from experiments.records.score import read_scores, write_scores
from experiments.records.stores.run_files import local_folder
from rope_dit.errors import UserError


@pytest.fixture
def store(tiny, tmp_path):
    return whole_copy(tiny, tmp_path)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def lose(store: Path, arm: str, seed: int) -> None:
    connect(uri_of(store)).delete_run(run_id(store, arm, seed))


def test_a_report_with_fewer_runs_names_them_and_keeps_the_earlier(store):
    folder = write_plain(store)
    before = contents(folder)
    lose(store, "rope2d", 1)
    with pytest.raises(UserError, match="keeps its report, for a new one would lack 1 runs") as caught:
        write_plain(store)
    assert caught.value.details == ("rope2d, seed 1: had 52 scores, now missing (not begun)",)
    assert contents(folder) == before


def test_a_run_with_fewer_scores_is_named(store):
    write_plain(store)
    run = connect(uri_of(store)).get_run(run_id(store, "rope2d", 1))
    file = local_folder(uri_of(store), run) / "scores.csv"
    uid = run.data.tags["run_uid"]
    file.write_text(write_scores(read_scores(file.read_text(), uid)[:-1], uid))
    with pytest.raises(UserError) as caught:
        write_plain(store)
    assert caught.value.details == ("rope2d, seed 1: had 52 scores, now 51",)


def test_a_report_that_was_moved_away_makes_room(store):
    folder = write_plain(store)
    lose(store, "rope2d", 1)
    shutil.move(folder, store / "kept")
    assert "rope2d, seed 1" not in json.loads((write_plain(store) / earlier.FILE).read_text())["scores"]


@pytest.mark.slow
def test_a_report_with_more_or_of_another_study_of_that_name_takes_the_place(store):
    folder = write_plain(store)
    redefine(store, seeds=(0, 1, 2))
    write_plain(store)  # partial, but nothing is gone
    redefine(store, created=1.9e9)
    for arm in ARMS:
        lose(store, arm, 1)
    assert write_plain(store) == folder
    assert len(json.loads((folder / earlier.FILE).read_text())["scores"]) == 3


@pytest.mark.slow
def test_a_replaced_arm_may_have_less_once_and_no_other_arm(store):
    again = Replacement("rope2d", 1.8e9, ("plug-in variant rope2d: there a, now b",), ("u3",), (1,))
    write_plain(store)
    redefine(store, replaced=(again,))
    kept = json.loads((write_plain(store) / earlier.FILE).read_text())["scores"]
    assert [cell for cell in kept if cell.startswith("rope2d")] == ["rope2d, seed 0"]
    lose(store, "rope2d", 0)
    with pytest.raises(UserError, match="would lack 1 runs"):
        write_plain(store)
    redefine(store, replaced=(again, again))
    write_plain(store)
    lose(store, "twin", 0)
    redefine(store, replaced=(again, again, again))
    with pytest.raises(UserError) as caught:
        write_plain(store)
    assert [line.partition(":")[0] for line in caught.value.details] == ["twin, seed 0"]


def test_a_record_that_was_changed_is_named_and_not_believed(store):
    file = write_plain(store) / earlier.FILE
    file.write_text(file.read_text().replace(": 52", ": 5", 1))
    with pytest.raises(UserError, match=r"report\.json was changed after it was written"):
        write_plain(store)
    file.write_text("{")
    with pytest.raises(UserError, match=r"report\.json is damaged"):
        write_plain(store)


def test_artifacts_that_are_gone_are_missing_and_not_scores_that_never_were(store, capsys):
    folder = write_plain(store)
    before = contents(folder)
    connect(uri_of(store))  # from now on it does not look where they were copied from
    shutil.rmtree(store / "mlartifacts")
    assert call_report("--study", NAME, "--uri", uri_of(store), "--out", store / "reports") == 2
    error = capsys.readouterr().err
    assert "error: scores.csv of 6 runs is missing from the store's artifacts" in error
    assert "--sync" in error
    assert contents(folder) == before


@pytest.mark.slow
def test_a_moved_project_has_the_same_report(store):
    folder = write_plain(store)
    before = (folder / "report.md").read_text()
    moved = store.with_name("moved")
    store.rename(moved)
    after = (write_plain(moved) / "report.md").read_text()
    assert [line for line in after.splitlines() if not line.startswith("- Written")] == [
        line for line in before.splitlines() if not line.startswith("- Written")
    ]
