"""`--sync`: what the store lacks is found by looking, sent, and looked at again."""

from dataclasses import replace

import pytest
from mirrors import (  # noqa: F401
    EXPERIMENT,
    SMOKE,
    client_fixture,
    log,
    make_run,
    mirror,
    runs,
    score,
    scored,
    tables_fixture,
)

from experiments.config.measures import measures_on
from experiments.coordinator.cell import Cell
from experiments.coordinator.copies.resync import sync_runs
from experiments.records import mlflow_mirror, mlflow_store
from experiments.records.run_folder import Ending
from experiments.records.sealing.chain import LOOK, PLANNED, extended, read_chain, write_chain
from experiments.records.stores.run_files import lacking
from experiments.scoring.jobs import final_jobs
from experiments.scoring.metrics import value_name

DONE = Ending("FINISHED", "finished")


@pytest.fixture
def cell(client, tmp_path):
    """A run that is done and mirrored."""
    folder = make_run(tmp_path / "run")
    log(folder, 5)
    score(folder)
    (folder.path / "pictures").mkdir()
    (folder.path / "pictures" / "a.png").write_bytes(b"grid")
    folder.end(DONE)
    assert mirror(folder).close("FINISHED", "finished")
    return Cell(replace(SMOKE, out=folder.path, eval=replace(SMOKE.eval, probes=())), "digits")


def place(client):
    return mlflow_store.local_store.path_of(runs(client)["run"].info.artifact_uri)


def test_what_is_in_step_is_left_as_it_is(client, cell):
    before = (place(client) / "scores.csv").stat().st_mtime_ns
    assert sync_runs(EXPERIMENT, [cell]) == []
    assert (place(client) / "scores.csv").stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["config.json", "scores.csv", "metrics.jsonl", "pictures/a.png"])
@pytest.mark.parametrize("damage", ["gone", "cut", "changed"])
def test_files_that_the_store_lost_are_sent_again(client, cell, name, damage):
    file = place(client) / name
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(content[:-1] + (b"?" if damage == "changed" else b""))
    assert sync_runs(EXPERIMENT, [cell]) == []
    assert file.read_bytes() == content
    assert runs(client)["run"].info.status == "FINISHED"


def test_a_run_that_the_store_has_lost_is_sent_again(client, cell):
    client.delete_run(runs(client)["run"].info.run_id)
    assert sync_runs(EXPERIMENT, [cell]) == []
    assert lacking(client, runs(client)["run"], cell.folder.path) == []


def test_a_run_at_work_and_a_store_that_takes_nothing_are_not_in_step(client, cell, monkeypatch):
    with cell.folder.lock():
        assert sync_runs(EXPERIMENT, [cell]) == ["run: a process is at work on it, which sends it"]
    (place(client) / "scores.csv").unlink()
    monkeypatch.setattr(mlflow_mirror.Mirror, "close", lambda *ending: False)  # the store is down by then
    assert sync_runs(EXPERIMENT, [cell]) == ["run: the store lacks scores.csv, or holds another"]


def test_a_deleted_experiment_is_not_in_step(client, cell, caplog):
    client.delete_experiment(client.get_experiment_by_name(EXPERIMENT).experiment_id)
    assert sync_runs(EXPERIMENT, [cell]) == ["the store cannot be written"]
    assert "was deleted in MLflow); once that is mended" in caplog.text


def test_a_killed_run_is_in_step_as_killed(client, cell):
    cell.folder.begin()  # and then a kill
    assert sync_runs(EXPERIMENT, [cell]) == []
    assert runs(client)["run"].info.status == "KILLED"


def test_scores_that_failed_and_were_made_later_make_a_run_finished(client, cell):
    cell.folder.end(Ending("FAILED", "error", "no space"))
    assert sync_runs(EXPERIMENT, [cell]) == []
    assert runs(client)["run"].info.status == "FAILED"
    cell.folder.add_scores(
        scored(
            step=SMOKE.train.steps, sampler=str(job.sampler), guidance=str(job.guidance), n=n,
            metric=value_name(value, one.seen_by("digits")), extractor=one.seen_by("digits"),
            sampling_seed=job.sampling_seed, ema=job.average, classes=job.classes,
        )
        for job in final_jobs(SMOKE) for n in job.ns for value, one in measures_on("digits").items()
    )  # fmt: skip
    assert mirror(cell.folder).close("FINISHED", "finished")  # as `evaluate` does
    assert sync_runs(EXPERIMENT, [cell]) == []
    assert runs(client)["run"].info.status == "FINISHED"


def test_a_seal_that_a_look_wrote_anew_is_sent_by_itself(client, cell, monkeypatch):
    """No run is opened again for it."""
    monkeypatch.setattr(mlflow_mirror.Mirror, "close", lambda *ending: False)
    first = extended((), PLANNED, {"margin": "0.05"}, 1.8e9)
    for chain in (first, extended(first, LOOK, {"seeds": "3"}, 1.81e9)):
        write_chain(cell.folder.path, chain)
        assert sync_runs(EXPERIMENT, [cell]) == []
        assert read_chain(place(client)) == chain
