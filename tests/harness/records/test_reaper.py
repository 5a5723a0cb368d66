"""Runs that die without a word, and several processes at one store."""

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import fork, until, wait
from mirrors import client_fixture, log, logged, make_run, mirror, points, runs, tables_fixture  # noqa: F401

from experiments.records.mlflow_mirror import Mirror
from experiments.records.mlflow_store import connect
from experiments.records.run_folder import RunFolder
from experiments.records.seal import sealed

# Runs that die


def dying_run(path: Path, **more: str) -> tuple[RunFolder, int]:
    """A run in another process, which holds its lock and has been mirrored as RUNNING."""
    folder = make_run(path)

    def work() -> None:
        with RunFolder(path).lock():
            mirror(folder, **more).sync()
            (path / "mirrored").touch()
            time.sleep(600)

    pid = fork(work)
    until((path / "mirrored").exists)
    return folder, pid


def next_run(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "next")
    with folder.lock():
        m = mirror(folder)
        assert m.close("FINISHED", "finished"), m.error


def test_a_run_that_was_killed_is_marked_by_the_next(client, tmp_path):
    folder, pid = dying_run(tmp_path / "dead")
    _, alive = dying_run(tmp_path / "alive")
    os.kill(pid, signal.SIGKILL)
    wait(pid)
    assert runs(client)["dead"].info.status == "RUNNING"
    for file in folder.path.iterdir():
        os.utime(file, (1e9, 1e9))
    next_run(tmp_path)
    os.kill(alive, signal.SIGKILL)
    wait(alive)
    found = runs(client)
    assert (found["dead"].info.status, found["dead"].data.tags["outcome"]) == ("KILLED", "killed")
    assert found["dead"].info.end_time == 1e12  # when its files last changed, in ms
    assert (found["alive"].info.status, found["alive"].data.tags["outcome"]) == ("RUNNING", "running")
    assert found["alive"].info.end_time is None
    assert found["next"].info.status == "FINISHED"
    log(folder, 5)
    again = mirror(folder)
    again.sync()
    assert (again.run_id, runs(client)["dead"].info.status) == (found["dead"].info.run_id, "RUNNING")


@pytest.mark.parametrize("why", ["another host", "another run's folder", "no folder"])
def test_what_may_be_alive_elsewhere_is_left_alone(client, tmp_path, why):
    _, pid = dying_run(tmp_path / "dead", **({"host": "elsewhere"} if why == "another host" else {}))
    os.kill(pid, signal.SIGKILL)
    wait(pid)
    if why == "another run's folder":
        info = json.loads((tmp_path / "dead" / "config.json").read_text())
        (tmp_path / "dead" / "config.json").write_text(json.dumps(sealed(info | {"id": "other"})))
    if why == "no folder":
        shutil.rmtree(tmp_path / "dead")
    next_run(tmp_path)
    assert runs(client)["dead"].info.status == "RUNNING"


def in_between(m: Mirror, method: str, event: Callable[[], None]) -> None:
    """Let `event` happen right after the client of a mirror has first asked for runs, or told of an end."""
    client, done = m._store, []
    original = getattr(client, method)

    def wrapped(*args):
        answer = original(*args)
        if not done and (method != "search_runs" or "RUNNING" in args[1]):
            done.append(True)
            event()
        return answer

    setattr(client, method, wrapped)


def test_a_run_that_ends_while_the_next_one_looks_keeps_its_ending(client, tmp_path):
    folder, m = make_run(tmp_path / "ending"), mirror(make_run(tmp_path / "next"))
    lock = contextlib.ExitStack()
    lock.enter_context(folder.lock())
    ending = mirror(folder)
    ending.sync()

    def end() -> None:
        assert ending.close("FINISHED", "finished"), ending.error
        lock.close()

    in_between(m, "search_runs", end)
    m.sync()
    assert not folder.is_locked()
    found = runs(client)["ending"]
    assert (found.info.status, found.data.tags["outcome"]) == ("FINISHED", "finished")


def test_a_run_that_is_taken_up_while_the_next_one_marks_it_is_running(client, tmp_path):
    folder, m = make_run(tmp_path / "again"), mirror(make_run(tmp_path / "next"))
    mirror(folder).sync()  # and its process dies
    with contextlib.ExitStack() as lock:
        in_between(m, "set_terminated", lambda: lock.enter_context(folder.lock()))
        m.sync()
        assert folder.is_locked()
        found = runs(client)["again"]
        assert (found.info.status, found.data.tags["outcome"]) == ("RUNNING", "running")


# Several processes


def mirrored_in_pieces(path: Path) -> None:
    folder = make_run(path)
    with folder.lock():
        m = mirror(folder)
        m.start()
        for step in range(1, 31):
            log(folder, step)
            time.sleep(0.02)
        assert m.close("FINISHED", "finished"), m.error


def all_arrived(client, tmp_path: Path, number: int) -> None:
    found = runs(client)
    assert sorted(found) == [f"run{i}" for i in range(number)]
    for name, run in found.items():
        folder = RunFolder(tmp_path / name)
        folder.open_metrics(1000)
        assert run.info.status == "FINISHED"
        assert points(client, run) == logged(folder)


def test_two_runs_mirror_at_the_same_time(client, tmp_path):
    pids = [fork(lambda i=i: mirrored_in_pieces(tmp_path / f"run{i}")) for i in range(2)]
    assert [wait(pid) for pid in pids] == [0, 0]
    all_arrived(client, tmp_path, 2)


@pytest.mark.slow
def test_eight_processes_open_a_brand_new_store(tmp_path, monkeypatch):
    import mlflow  # noqa: F401  imported before the forks, which then start at once

    uri = f"sqlite:///{tmp_path}/new/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    pids = [fork(lambda i=i: mirrored_in_pieces(tmp_path / f"run{i}")) for i in range(8)]
    assert [wait(pid) for pid in pids] == [0] * 8
    all_arrived(connect(uri), tmp_path, 8)
