"""Which runs of a store count, and what is said where it cannot be read."""

import logging

import pytest
from mirrors import EXPERIMENT, client_fixture, log, make_run, mirror, score, tables_fixture  # noqa: F401
from report_pages import tiny_fixture, write_plain  # noqa: F401
from report_stores import NAME, copy_of, run_id, uri_of

from analysis import load
from experiments.records.mlflow_store import connect
from experiments.records.stores.sqlite_uri import sqlite_uri
from rope_dit.errors import UserError


def test_of_two_runs_of_one_folder_one_counts_and_both_are_named(client, tmp_path, caplog):
    folder = make_run(tmp_path / "run")
    log(folder, 5)
    score(folder)
    first = mirror(folder)
    assert first.close("FINISHED", "finished")
    client.delete_run(first.run_id)
    second = mirror(folder)
    score(folder, sampler="euler:grid=uniform,steps=2")
    assert second.close("FINISHED", "finished")
    client.restore_run(first.run_id)
    frame = load.scores(EXPERIMENT)
    assert set(frame["run_id"]) == {second.run_id}
    assert len(frame) == len(folder.scores()) == 2
    curves = load.curves(EXPERIMENT)
    assert not curves.duplicated(["arm", "seed", "key", "step"]).any()
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [
        f"MLflow runs {second.run_id} and {first.run_id} are of one run folder; the first counts, delete the "
        "other."
    ]
    again = mirror(folder)
    assert again.close("FINISHED", "finished")
    assert again.run_id == second.run_id


def test_runs_in_mlflow_s_own_experiment_of_before_are_read(client, tmp_path):
    with pytest.raises(UserError, match="'Default' is MLflow's own; runs have: "):
        load.runs("Default")
    m = mirror(make_run(tmp_path / "run"))
    m.experiment = "Default"
    assert m.close("FINISHED", "finished")
    assert list(load.runs("Default")["name"]) == ["run"]


def test_a_deleted_experiment_says_how_to_restore_it(client, tmp_path):
    number = client.create_experiment("gone")
    client.delete_experiment(number)
    with pytest.raises(UserError, match="experiment 'gone' was deleted in MLflow") as caught:
        load.runs("gone")
    where = f"MLFLOW_TRACKING_URI={sqlite_uri(tmp_path / 'mlflow.db')}"
    assert caught.value.details == (f"{where} mlflow experiments restore --experiment-id {number}",)


@pytest.mark.parametrize("uri", ["mysql+x://u:SECRET", "mysql+x://u:SECRET/db", "file:///tmp/mlruns"])
def test_a_uri_that_can_be_none_is_refused_without_its_password(uri):
    with pytest.raises(UserError, match="--uri got '") as caught:
        load.runs("x", uri)
    assert "SECRET" not in str(caught.value)


def test_reading_leaves_a_store_and_its_folder_as_they_are(tiny, tmp_path):
    copy_of(tiny, tmp_path)
    before = (tmp_path / "mlflow.db").read_bytes()
    load.runs(NAME, uri_of(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
    assert (tmp_path / "mlflow.db").read_bytes() == before


def test_no_file_of_a_report_holds_control_characters_of_the_store(tiny, tmp_path):
    store = copy_of(tiny, tmp_path)
    client, number = connect(uri_of(store)), run_id(store, "rope2d", 1)
    client.set_tag(number, "outcome", "error")
    client.set_tag(number, "message", "\x1b[31mred\x9b2J\u202e")
    client.set_tag(number, "host", "\x1b]0;title\x07")
    folder = write_plain(store)
    for file in (path for path in folder.iterdir() if path.is_file()):
        text = file.read_text()
        assert not [c for c in text if not c.isprintable() and c not in "\n\t"], file
    assert "\\x1b\\[31mred\\x9b2J\\u202e" in (folder / "report.md").read_text().replace("\\\\", "\\")
