"""Stores that are down, silent, locked, broken or new: training goes on, and in the end they have it all."""

import contextlib
import logging
import math
import os
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from commands import until
from mirrors import (  # noqa: F401
    EXPERIMENT,
    STORED,
    client_fixture,
    log,
    logged,
    make_run,
    mirror,
    points,
    runs,
    score,
    tables_fixture,
)
from mlflow.cli import cli

from experiments.config.text import flatten
from experiments.records import mlflow_mirror as tracking
from experiments.records.mlflow_store import check_experiment, connect, tracking_uri
from experiments.records.run_folder import RunFolder
from rope_dit.errors import UserError


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_a_complaint_hides_a_password(tmp_path, caplog):
    m = mirror(make_run(tmp_path / "run"))
    m._complain(OSError("cannot\nreach http://me:secret@host/api"))
    assert m.error == "cannot reach http://me:***@host/api"
    assert "(cannot reach http://me:***@host/api)" in caplog.text


def test_a_run_without_a_store_is_sent_later_once(client, tmp_path, monkeypatch, caplog):
    good = os.environ["MLFLOW_TRACKING_URI"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{closed_port()}")
    folder = make_run(tmp_path / "run")
    m = mirror(folder)
    m.start()
    log(folder, 5, 10)
    until(lambda: m.error)
    log(folder, 15, 20)
    score(folder)
    assert not m.close("FINISHED", "finished")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "cannot be written ([Errno 111] Connection refused)" in caplog.text
    assert "secret" not in caplog.text + m.error
    monkeypatch.setenv("MLFLOW_TRACKING_URI", good)
    later = mirror(folder)
    assert later.close("FINISHED", "finished")
    assert points(client, runs(client)["run"]) == logged(folder)


def test_close_gives_up_on_a_store_that_never_answers(tmp_path, monkeypatch, caplog):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1000")
        monkeypatch.setattr(tracking, "PATIENCE_SECONDS", 0.5)
        folder = make_run(tmp_path / "run")
        m = mirror(folder)
        m.start()
        log(folder, 5)
        assert not m.close("FINISHED", "finished")
        assert "no answer" in m.error
        assert len(caplog.records) == 1


def test_close_waits_although_there_was_long_nothing_to_send(client, tmp_path):
    folder = make_run(tmp_path / "run")
    m = mirror(folder)
    m.start()
    until(lambda: bool(m.run_id))
    m._answer_until = time.monotonic() - 1  # as after minutes of scoring, in which nothing was sent
    score(folder)
    assert m.close("FINISHED", "finished"), m.error
    assert runs(client)["run"].info.status == "FINISHED"


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path, monkeypatch, caplog):
    garbage = tmp_path / "mlflow.db"
    garbage.write_bytes(b"\x00garbage" * 1000)
    before = garbage.read_bytes()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{garbage}")
    folder = make_run(tmp_path / "run")
    m = mirror(folder)
    m.start()
    log(folder, 5)
    until(lambda: m.error)
    assert not m.close("FINISHED", "finished")
    assert [record.getMessage().count("\n") for record in caplog.records] == [0]
    assert "mlflow.db is no SQLite database" in caplog.text
    assert garbage.read_bytes() == before


def test_a_store_that_comes_back_gets_all_of_it(tables, tmp_path, monkeypatch, caplog):
    store = tmp_path / "mlflow.db"
    store.write_bytes(b"garbage")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
    folder = make_run(tmp_path / "run")
    m = mirror(folder)
    m.start()
    log(folder, 5)
    until(lambda: m.error)
    shutil.copy(tables, store)
    until(lambda: not m.error)
    log(folder, 10)
    store.write_bytes(b"garbage")
    until(lambda: m.error)
    log(folder, 15)
    shutil.copy(tables, store)  # a new one, which has not seen what the old one took
    assert m.close("FINISHED", "finished"), m.error
    assert len(caplog.records) == 2  # a line for each time that it went away
    assert points(connect(tracking_uri()), runs(connect(tracking_uri()))["run"]) == logged(folder)


def test_a_locked_database_delays_nothing_but_itself(client, tmp_path):
    folder = make_run(tmp_path / "run")
    m = mirror(folder)
    m.sync()
    lock = sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)
    lock.execute("begin exclusive")
    m.start()
    for step in range(1, 40):  # while the mirror waits for the lock
        log(folder, step)
        time.sleep(0.01)
    lock.execute("rollback")
    lock.close()
    assert m.close("FINISHED", "finished"), m.error
    assert points(client, runs(client)["run"]) == logged(folder)


def test_a_database_error_is_one_line(client, tmp_path, caplog):
    folder = make_run(tmp_path / "run")
    m = mirror(folder)
    m.sync()
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("drop table metrics")
    log(folder, 5)
    assert not m.close("FINISHED", "finished")
    assert [record.getMessage().count("\n") for record in caplog.records] == [0]  # MLflow logs three pages
    assert "(no such table: metrics)" in caplog.text


def test_a_deleted_experiment_is_refused_at_the_start_and_named_by_a_run_at_work(client, tmp_path, caplog):
    folder = make_run(tmp_path / "run")
    number = client.create_experiment(EXPERIMENT)
    check_experiment(EXPERIMENT)
    client.delete_experiment(number)
    with pytest.raises(UserError, match="was deleted in MLflow") as refused:
        check_experiment(EXPERIMENT)
    m = mirror(folder)
    assert not m.close("FINISHED", "finished")
    assert not m.passes  # so nobody says that it is sent later
    assert len(caplog.records) == 1
    assert "was deleted in MLflow" in caplog.text
    assert "to be sent later" not in caplog.text
    [line] = refused.value.details
    setting, program, *words = shlex.split(line)
    assert program == "mlflow"
    restored = CliRunner().invoke(cli, words, env=dict([setting.split("=", 1)]))
    assert restored.exit_code == 0, restored.output
    check_experiment(EXPERIMENT)
    assert mirror(folder).close("FINISHED", "finished")


@pytest.mark.parametrize("content", [b"garbage" * 100, b"SQLite format 3\x00" + b"x" * 100])
def test_a_store_that_can_never_be_written_is_refused_at_the_start(tmp_path, monkeypatch, content):
    (tmp_path / "mlflow.db").write_bytes(content)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    with pytest.raises(UserError, match=r"cannot be written \(mlflow\.db"):
        check_experiment(EXPERIMENT)


def test_a_store_of_another_version_is_refused_at_the_start(tables, tmp_path, monkeypatch):
    shutil.copy(tables, tmp_path / "mlflow.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("update alembic_version set version_num = 'abc'")
        database.commit()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    with pytest.raises(UserError, match=r"cannot be written .*out-of-date database schema"):
        check_experiment(EXPERIMENT)


def test_a_store_that_may_come_back_is_no_reason_to_wait(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed_port()}")
    check_experiment(EXPERIMENT)


def test_one_bad_point_is_left_out_and_named_and_the_rest_is_sent(client, tmp_path, caplog):
    folder = make_run(tmp_path / "run")
    log(folder, 5)
    good = logged(folder)
    for row in (
        {"step": 2**63, "time": 1.8e9, "values": {"huge": 1.0}},
        {"step": 6, "time": math.inf, "values": {"endless": 1.0}},
        {"step": 7, "time": -5.0, "values": {"before": 1.0}},
        {"step": 8, "time": 1.8e9, "values": {"text": "much", "number": 10**400}},
        {"step": 9, "time": 1.8e9, "values": {"train/loss": math.nan}},
    ):
        folder._rows.append(row)  # as versions read them that looked at no row's values
    m = mirror(folder)
    m.sync()
    assert m.close("FINISHED", "finished"), m.error
    assert points(client, runs(client)["run"]) == good
    named = [record.getMessage() for record in caplog.records]
    bad = ("huge", "endless", "before", "text", "number")
    assert all(f"({key} at" in line for key, line in zip(bad, named, strict=True)), named


def test_a_deleted_run_is_made_again(client, tmp_path):
    folder = make_run(tmp_path / "run")
    log(folder, 5)
    first = mirror(folder)
    assert first.close("FINISHED", "finished")
    client.delete_run(first.run_id)
    assert mirror(folder).close("FINISHED", "finished")
    assert runs(client)["run"].info.run_id != first.run_id
    assert points(client, runs(client)["run"]) == logged(folder)


# A server


def serve(tmp_path: Path, port: int) -> subprocess.Popen:
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
               "--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db",
               "--artifacts-destination", str(tmp_path / "served"), "--workers", "1"]  # fmt: skip
    with open(tmp_path / "server.log", "ab") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)


def answers(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_a_server_that_dies_in_mid_run_loses_nothing(tables, tmp_path, monkeypatch):
    shutil.copy(tables, tmp_path / "mlflow.db")
    port = closed_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    command = [sys.executable, "-m", "experiments.run", "--preset", "smoke", "--study", EXPERIMENT, "--out",
               "run", "--train.threads", "1", "--train.steps", "800", "--eval.every", "400"]  # fmt: skip
    server = serve(tmp_path, port)
    try:
        until(lambda: answers(port), 120)
        training = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        database = sqlite3.connect(tmp_path / "mlflow.db")
        until(lambda: database.execute("select count(*) from metrics").fetchone()[0], 120)
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        before = (tmp_path / "run" / "metrics.jsonl").read_bytes().count(b"\n")
        until(lambda: (tmp_path / "run" / "metrics.jsonl").read_bytes().count(b"\n") > before + 20, 120)
        server = serve(tmp_path, port)
        errors = training.communicate(timeout=250)[1]
        assert training.returncode == 0, errors
        folder = RunFolder(tmp_path / "run")
        if not database.execute("select 1 from runs where status = 'FINISHED'").fetchone():
            until(lambda: answers(port), 120)  # the run was done before the server was back: send it now
            subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        folder.open_metrics(800)
        client = connect(f"http://127.0.0.1:{port}")
        run = runs(client)["run"]
        assert run.info.status == "FINISHED"
        assert points(client, run) == logged(folder)
        assert run.data.params == flatten(folder.record.config)
        assert [f.path for f in client.list_artifacts(run.info.run_id)] == STORED
        assert len(errors.splitlines()) <= 2, errors
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@pytest.mark.slow
def test_a_store_is_whole_or_not_there_wherever_its_maker_is_killed(tmp_path):
    """Making the tables takes seconds; killed in between, a process once left a store for no one."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    code = f"from experiments.records.mlflow_store import connect; print(1, flush=True); connect({uri!r})"
    for tenths in range(2, 40, 2):
        process = subprocess.Popen([sys.executable, "-c", f"import mlflow; {code}"], stdout=subprocess.PIPE)
        with process:
            process.stdout.readline()  # mlflow is there: what follows is the making
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(tenths / 10)
            process.kill()
        if process.returncode == 0:
            break
    client = connect(uri)
    client.create_experiment("whole")
    assert [e.name for e in client.search_experiments()] == ["whole", "Default"]
    assert not list(tmp_path.glob("*.new*"))
