"""Optuna's database is a projection: whatever happens to it, a study goes on, and none is thrown away."""

import contextlib
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from experiments.config.presets import PRESETS
from experiments.coordinator.cell import Cell
from experiments.coordinator.trials import optuna_storage
from experiments.coordinator.trials.optuna_storage import FILE, Projection, empty_storage
from experiments.coordinator.trials.optuna_trials import Trials
from experiments.records.definition import Endpoint
from rope_dit.errors import UserError

END = Endpoint(metric="fd_digits", extractor="digits", sampler="euler", guidance="1", ema="0.9", n=100,
               train_step=20, better="lower")  # fmt: skip


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(optuna_storage, "LOCKED_SECONDS", 0.05)


@pytest.fixture
def cells(tmp_path):
    return [Cell.of(replace(PRESETS["smoke"], arm="a"), seed, tmp_path / "runs", "digits") for seed in (0, 1)]


@contextlib.contextmanager
def held(file: Path):
    """Somebody else has the database."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


def states(folder: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(folder / FILE)) as database:
        return [state for (state,) in database.execute("SELECT state FROM trials ORDER BY number")]


def test_a_database_that_is_held_at_the_start_stays_as_it_is(tmp_path, cells, caplog):
    trials = Trials(tmp_path, "s", cells, END, cells)
    trials.start(cells[0])
    before = (tmp_path / FILE).read_bytes(), os.stat(tmp_path / FILE).st_ino
    with held(tmp_path / FILE):
        late = Trials(tmp_path, "s", cells, END, cells)
        late.start(cells[0])
        late.end(cells[0], "failed")
    assert not late.works
    assert ((tmp_path / FILE).read_bytes(), os.stat(tmp_path / FILE).st_ino) == before
    [said] = [record.getMessage() for record in caplog.records]
    assert said == (
        f"{tmp_path / FILE} cannot be written (database is locked), and nothing else needs it; "
        "later: study --sync s"
    )


def test_a_database_that_is_held_on_the_way_costs_the_rest_of_it_only(tmp_path, cells, caplog):
    trials = Trials(tmp_path, "s", cells, END, cells)
    trials.start(cells[0])
    with held(tmp_path / FILE):
        trials.end(cells[0], "failed")
    trials.start(cells[1])
    trials.end(cells[1], "failed")
    assert len(caplog.records) == 1
    assert states(tmp_path) == ["RUNNING"]
    assert Trials(tmp_path, "s", cells, END, cells).works, "the next one begins anew"
    assert states(tmp_path) == []


def outdated(file: Path) -> None:
    empty_storage(file.parent).engine.dispose()
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("UPDATE alembic_version SET version_num = 'v999'")
        database.execute("UPDATE version_info SET schema_version = 999")


def torn(file: Path) -> None:
    empty_storage(file.parent).engine.dispose()
    file.write_bytes(file.read_bytes()[:100] + os.urandom(20_000))


@pytest.mark.parametrize("spoil", [lambda file: file.write_bytes(b"garbage" * 1000), torn, outdated])
def test_a_damaged_database_is_made_again_and_that_is_said(tmp_path, cells, caplog, spoil):
    spoil(tmp_path / FILE)
    trials = Trials(tmp_path, "s", cells, END, cells)
    trials.start(cells[0])
    assert trials.works
    assert states(tmp_path) == ["RUNNING"]
    assert f"{tmp_path / FILE} is damaged or of another version; it is made again" in caplog.text


def test_what_cannot_be_opened_is_left_alone(tmp_path, cells, caplog):
    (tmp_path / FILE).mkdir()
    trials = Trials(tmp_path, "s", cells, END, cells)
    trials.start(cells[0])
    assert not trials.works
    assert (tmp_path / FILE).is_dir()
    assert "cannot be written (unable to open database file)" in caplog.text


def test_a_full_disk_costs_the_database_only(tmp_path, cells, caplog):
    """The database has no room to grow, as on a full disk."""
    trials = Trials(tmp_path, "s", cells, END, cells)
    trials._projection.attempt(_fill)
    wide = replace(cells[0], config=replace(cells[0].config, variant="x" * 100_000))
    trials.start(wide)
    trials.end(wide, "failed")
    assert not trials.works
    assert "cannot be written (database or disk is full)" in caplog.text


def _fill(storage: optuna.storages.RDBStorage) -> None:
    import sqlalchemy

    @sqlalchemy.event.listens_for(storage.engine, "begin")
    def no_more(connection: sqlalchemy.Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")


def test_what_is_wrong_with_a_record_is_not_taken_for_the_database_s_fault(tmp_path):
    def wrong(storage: object) -> None:
        raise UserError("scores.csv is damaged")

    with pytest.raises(UserError, match=r"scores\.csv is damaged"):
        Projection(tmp_path, "s").attempt(wrong)
