"""A SQLite store wherever it lies: in folders of any name, moved, copied, another program's, locked."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import mlflow
import optuna
import pytest
from mirrors import EXPERIMENT, log, make_run, mirror, runs, score, tables_fixture  # noqa: F401

from experiments.coordinator.trials.optuna_storage import empty_storage
from experiments.records import mlflow_store
from experiments.records.mlflow_store import connect
from experiments.records.run_folder import RunFolder
from experiments.records.stores.run_files import lacking, local_folder
from experiments.records.stores.sqlite_uri import sqlite_file, sqlite_uri

ODD = ["feature%2Fx", "what?", "a b#c", "{x}", "100%", "\u00fc@h:1", "q'uote\"", "sqlite:"]


def project(folder: Path, tables: Path, monkeypatch) -> str:
    """A store in a folder, to which the environment points, with a run that is done."""
    folder.mkdir()
    shutil.copy(tables, folder / "mlflow.db")
    uri = sqlite_uri(folder / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    made = make_run(folder / "run")
    log(made, 5)
    score(made)
    assert mirror(made).close("FINISHED", "finished")
    return uri


def only_run(uri: str):
    client = mlflow.MlflowClient(uri)  # as MLflow's own pages have it
    return client, runs(client)["run"]


@pytest.mark.parametrize("name", ODD)
def test_a_store_works_in_a_folder_of_any_name(name, tables, tmp_path, monkeypatch):
    uri = project(tmp_path / name, tables, monkeypatch)
    client, run = only_run(uri)
    assert sqlite_file(uri) == tmp_path / name / "mlflow.db"
    assert lacking(client, run, tmp_path / name / "run") == []
    assert "config.json" in [f.path for f in client.list_artifacts(run.info.run_id)]
    empty_storage(tmp_path / name).engine.dispose()
    there = optuna.storages.RDBStorage(sqlite_uri(tmp_path / name / "optuna.db"))
    assert optuna.get_all_study_names(there) == []
    there.engine.dispose()
    assert [path.name for path in tmp_path.iterdir()] == [name]  # nothing beside it


def test_a_project_that_was_moved_has_its_artifacts_for_us_and_for_mlflow(tables, tmp_path, monkeypatch):
    project(tmp_path / "old", tables, monkeypatch)
    (tmp_path / "old").rename(tmp_path / "new")
    uri = sqlite_uri(tmp_path / "new" / "mlflow.db")
    client, run = only_run(uri)
    place = local_folder(uri, run)
    assert place.is_relative_to(tmp_path / "new")
    assert (place / "scores.csv").is_file()
    assert connect(uri, reading=True).get_run(run.info.run_id).info.artifact_uri == run.info.artifact_uri
    connect(uri)
    client, run = only_run(uri)
    assert run.info.artifact_uri == place.as_uri()
    assert (
        Path(client.get_experiment_by_name(EXPERIMENT).artifact_location.removeprefix("file://"))
        == place.parents[1]
    )
    assert "scores.csv" in [f.path for f in client.list_artifacts(run.info.run_id)]
    assert not (tmp_path / "old").exists()


def test_a_copy_has_its_own_artifacts_and_a_copy_of_the_file_alone_those_of_the_first(
    tables, tmp_path, monkeypatch
):
    project(tmp_path / "one", tables, monkeypatch)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    (tmp_path / "three").mkdir()
    shutil.copy(tmp_path / "one" / "mlflow.db", tmp_path / "three")
    for name, owner in (("one", "one"), ("two", "two"), ("three", "one")):
        uri = sqlite_uri(tmp_path / name / "mlflow.db")
        run = runs(connect(uri))["run"]
        assert local_folder(uri, run).is_relative_to(tmp_path / owner), name


def test_artifacts_elsewhere_by_choice_stay_there(tables, tmp_path):
    shutil.copy(tables, tmp_path / "mlflow.db")
    uri = sqlite_uri(tmp_path / "mlflow.db")
    chosen = ["s3://bucket/mlartifacts/a", "file:///data/pictures", (tmp_path / "mine").as_uri()]
    for i, place in enumerate(chosen):
        connect(uri).create_experiment(f"e{i}", artifact_location=place)
    assert {
        connect(uri).get_experiment_by_name(f"e{i}").artifact_location for i in range(len(chosen))
    } == set(chosen)


def test_an_experiment_that_is_called_as_the_folder_is_found_too(tables, tmp_path, monkeypatch):
    monkeypatch.setattr("mirrors.EXPERIMENT", "mlartifacts")
    project(tmp_path / "old", tables, monkeypatch)
    (tmp_path / "old").rename(tmp_path / "new")
    uri = sqlite_uri(tmp_path / "new" / "mlflow.db")
    client, run = only_run(uri)
    assert lacking(client, run, tmp_path / "new" / "run") == []


def test_a_store_whose_file_was_removed_is_made_again_under_a_client_that_knew_it(
    tables, tmp_path, monkeypatch
):
    uri = project(tmp_path / "one", tables, monkeypatch)
    (tmp_path / "one" / "mlflow.db").unlink()
    made = RunFolder(tmp_path / "one" / "run")
    made.open_metrics(5)
    assert mirror(made).close("FINISHED", "finished")
    assert lacking(connect(uri), runs(connect(uri))["run"], made.path) == []


@pytest.mark.parametrize("table", ["people (name)", "alembic_version (v)", "experiments (name, result)"])
def test_another_program_s_database_is_refused_and_left_as_it_is(tmp_path, table):
    file = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute(f"create table {table}")
    before = file.read_bytes()
    for reading in (True, False):
        with pytest.raises(OSError, match=r"mlflow\.db is a database of another program"):
            connect(sqlite_uri(file), reading=reading)
    assert file.read_bytes() == before


def test_a_locked_store_is_waited_for_once(tables, tmp_path, monkeypatch):
    shutil.copy(tables, tmp_path / "mlflow.db")
    monkeypatch.setattr(mlflow_store, "CONTACT_SECONDS", 0.2)
    with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as lock:
        lock.execute("begin exclusive")
        with pytest.raises(TimeoutError, match=r"mlflow\.db is locked by another program"):
            connect(sqlite_uri(tmp_path / "mlflow.db"))
