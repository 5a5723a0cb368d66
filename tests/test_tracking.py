"""The mirror of run folders in MLflow: everything once, with stores that are down, locked, broken or new.

Stores are real: SQLite files, and for one test a server. Processes are real, and so are their deaths.
"""

import contextlib
import itertools
import json
import logging
import math
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import tracking
from experiments.config import RunConfig, ScoreKey, flatten, to_json
from experiments.presets import PRESETS
from experiments.runfolder import RunFolder
from experiments.store import PARAM_LENGTH, TAG_LENGTH, connect, hidden, metric_name, shorten, tracking_uri
from experiments.tracking import Mirror, git_commit, score_points
from rope_dit.errors import UserError

SMOKE = PRESETS["smoke"]
EXPERIMENT = "study"


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A store that has its tables and nothing else; making them takes seconds."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    connect(f"sqlite:///{file}")
    return file


@pytest.fixture
def client(tables, tmp_path, monkeypatch):
    """Client of a store of the test's own, to which MLFLOW_TRACKING_URI points."""
    uri = f"sqlite:///{shutil.copy(tables, tmp_path / 'mlflow.db')}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return connect(uri)


def make_run(path: Path, config: RunConfig = SMOKE) -> RunFolder:
    folder = RunFolder(path)
    path.mkdir(parents=True)
    folder.create({"seed": str(config.seed)}, config, {"inputs_sha256": "0"})
    folder.open_metrics(0)
    return folder


def log(folder: RunFolder, *steps: int) -> None:
    for step in steps:
        values = {"train/loss": 1 / step, "train/images_per_second": 7.0, "system/peak_memory_mib": 9.0}
        folder.log(step, values)


def key(
    step=20, sampler="heun:grid=uniform,steps=2", n=100, guidance="1", metric="fd_digits", sampling_seed=0
):
    return ScoreKey(
        arm="rope2d:theta=100", seed=0, train_step=step, sampler=sampler, guidance=guidance, nfe=4.0,
        grid="uniform", ema="0.9", extractor="digits", metric=metric, n=n, n_real=1437,
        sampling_seed=sampling_seed,
    )  # fmt: skip


def score(folder: RunFolder, value: float = 2.5, **which) -> None:
    hashes = {"images_sha256": "a", "reference_sha256": "b", "extractor_sha256": "c"}
    folder.add_scores([key(**which)], [{"value": value, "better": "lower", "real_floor": 0.5, **hashes}])


def tags(folder: RunFolder, **more: str) -> dict[str, str]:
    return {
        "study": EXPERIMENT, "arm": "rope2d:theta=100", "variant": "rope2d", "seed": "0",
        "fingerprint": "f" * 64, "git_commit": "c" * 40, "device": "cpu with 1 threads", "outcome": "running",
        "folder": str(folder.path.absolute()), "host": socket.gethostname(), **more,
    }  # fmt: skip


def mirror(folder: RunFolder, **more: str) -> Mirror:
    return Mirror(folder, EXPERIMENT, tags(folder, **more), every_seconds=0.05)


def runs(client):
    """All runs by name."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def points(client, run) -> list[tuple[str, int, float]]:
    history = [m for name in run.data.metrics for m in client.get_metric_history(run.info.run_id, name)]
    return sorted((m.key, m.step, m.value) for m in history)


def logged(folder: RunFolder) -> list[tuple[str, int, float]]:
    scored = score_points(folder.scores(), folder.info["config"])
    return sorted({(name, step, value) for name, step, value, _ in [*folder.points(), *scored]})


def fork(work) -> int:
    """Do `work` in a process of its own, which leaves with 0 or 1."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def until(ready, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


# What is stored


def test_all_of_a_run_is_there(client, tmp_path):
    folder = make_run(tmp_path / "runs" / "rope2d-s0-1")
    log(folder, 5, 10)
    score(folder, step=10, n=50)
    (folder.path / "pictures").mkdir()
    for step in (10, 20):
        (folder.path / "pictures" / f"{step:08d}-heun-2-cfg1-seed0.png").write_bytes(b"\x89PNG")
    m = mirror(folder)
    m.start()
    log(folder, 15, 20)
    score(folder)
    assert m.close("FINISHED", "finished"), m.error
    run = runs(client)["rope2d-s0-1"]
    assert run.info.run_id == m.run_id
    assert run.info.status == "FINISHED"
    assert run.data.params == flatten(to_json(SMOKE))
    assert run.data.tags.items() >= (tags(folder) | {"outcome": "finished"}).items()
    assert points(client, run) == logged(folder)
    assert {k for k, _, _ in points(client, run)} >= {"train/images_per_second", "system/peak_memory_mib"}
    assert [f.path for f in client.list_artifacts(m.run_id)] == ["config.json", "pictures", "scores.csv"]
    grids = [f.path for f in client.list_artifacts(m.run_id, "pictures")]
    assert grids == [f"pictures/{step:08d}-heun-2-cfg1-seed0.png" for step in (10, 20)]
    stored = Path(client.download_artifacts(m.run_id, "scores.csv"))
    assert stored.read_bytes() == (folder.path / "scores.csv").read_bytes()


def test_times_are_those_of_the_run_folder(client, tmp_path):
    folder = make_run(tmp_path / "run")
    log(folder, 5)
    time.sleep(0.05)
    m = mirror(folder)
    assert m.close("FINISHED", "finished")
    info = runs(client)["run"].info
    assert info.start_time == int(folder.info["created"] * 1000)
    assert info.end_time == int(folder.points()[0][3] * 1000)


@pytest.mark.parametrize(
    ("status", "outcome"), [("FAILED", "diverged"), ("FAILED", "error"), ("KILLED", "stopped")]
)
def test_an_early_end_is_marked(client, tmp_path, status, outcome):
    folder = make_run(tmp_path / "run")
    log(folder, 5)
    m = mirror(folder)
    m.start()
    assert m.close(status, outcome)
    run = runs(client)["run"]
    assert (run.info.status, run.data.tags["outcome"]) == (status, outcome)
    assert points(client, run) == logged(folder)


def test_a_second_sync_sends_nothing(client, tmp_path):
    folder = make_run(tmp_path / "run")
    log(folder, 5, 10)
    score(folder)
    for m in (mirror(folder), mirror(folder)):
        m.sync()
        m.sync("FINISHED")
    assert points(client, runs(client)["run"]) == logged(folder)


def test_a_resumed_run_continues_the_same_mlflow_run(client, tmp_path):
    folder = make_run(tmp_path / "run")
    log(folder, 5, 10, 15)
    first = mirror(folder)
    assert first.close("KILLED", "stopped")
    again = RunFolder(folder.path)
    again.open_metrics(10)  # the checkpoint was of step 10: step 15 comes a second time
    log(again, 15, 20)
    second = mirror(again)
    second.sync()
    assert runs(client)["run"].info.status == "RUNNING"
    assert runs(client)["run"].data.tags["outcome"] == "running"
    assert second.close("FINISHED", "finished")
    assert second.run_id == first.run_id
    assert points(client, runs(client)["run"]) == logged(again)
    assert runs(client)["run"].info.status == "FINISHED"


def test_only_finite_values_are_stored(client, tmp_path):
    folder = make_run(tmp_path / "run")
    folder.log(5, {"train/loss": math.inf, "train/lr": 1.0, "train/grad_norm": math.nan})
    score(folder, value=math.inf)
    score(folder, value=math.nan, n=50)
    assert mirror(folder).close("FAILED", "diverged")
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        rows = database.execute("select key, value, is_nan from metrics").fetchall()
    assert {name for name, _, _ in rows} == {"train/lr", "real_floor/fd_digits", "real_floor/fd_digits_n50"}
    assert all(abs(value) < 1e300 and not is_nan for _, value, is_nan in rows)


@pytest.mark.parametrize("length", [PARAM_LENGTH, PARAM_LENGTH + 1, 7001, 100_000])
def test_a_long_param_or_tag_says_that_it_was_cut(client, tmp_path, length):
    folder = make_run(tmp_path / "run", replace(SMOKE, runs=Path("x" * length)))
    m = mirror(folder, command="y" * length)
    assert m.close("FINISHED", "finished"), m.error
    data = runs(client)["run"].data
    for value, limit in ((data.params["runs"], PARAM_LENGTH), (data.tags["command"], TAG_LENGTH)):
        assert len(value) == min(length, limit)
        assert (f"({length} characters" in value) == (length > limit)


def test_shortened_texts_still_differ():
    assert len({shorten("x" * 100 + end, 60) for end in "abc"}) == 3


@given(st.text(min_size=1, max_size=300))
def test_mlflow_takes_every_metric_name(name):
    from mlflow.utils.validation import _validate_metric_name

    _validate_metric_name(metric_name(name))
    assert len(metric_name(name)) <= 250


ODD = [
    "a@b",
    "a#b",
    "a_b",
    "/a",
    "a/",
    "a//b",
    "a/../b",
    "../a",
    "..",
    "a" * 300,
    "a" * 301,
    "\u00e4",
    "a\nb",
]


@pytest.mark.parametrize("name", ODD)
def test_mlflow_takes_odd_names(name):
    test_mlflow_takes_every_metric_name.hypothesis.inner_test(name)


def test_names_are_kept_or_stay_apart():
    kept = ["fd_digits/heun-25/cfg1", "by_nfe/fid/euler-shifted-shift3/cfg3-0.2to0.9/seed1", "train/loss"]
    assert [metric_name(name) for name in kept] == kept
    assert len({metric_name(name) for name in ODD}) == len(ODD)


# Names of scores


def test_a_curve_keeps_its_name_when_the_final_scores_come(tmp_path):
    folder = make_run(tmp_path / "run")
    config = folder.info["config"]
    score(folder, step=10, n=50)
    during = list(score_points(folder.scores(), config))
    score(folder, step=20, n=50)
    score(folder, step=20, n=100)
    after = list(score_points(folder.scores(), config))
    assert [name for name, *_ in during] == ["fd_digits_n50/heun-2/cfg1", "real_floor/fd_digits_n50"]
    assert after[:2] == during
    assert [(name, step) for name, step, *_ in after[2:]] == [
        ("fd_digits_n50/heun-2/cfg1", 20), ("real_floor/fd_digits_n50", 20),
        ("fd_digits/heun-2/cfg1", 20), ("real_floor/fd_digits", 20), ("by_nfe/fd_digits/heun/cfg1", 4),
    ]  # fmt: skip


def test_only_the_last_step_is_drawn_against_nfe(tmp_path):
    same_n = replace(SMOKE, eval=replace(SMOKE.eval, every_n=100))
    folder = make_run(tmp_path / "run", same_n)
    score(folder, step=10, value=9.0)
    assert not [name for name, *_ in score_points(folder.scores(), folder.info["config"]) if "by_nfe" in name]
    score(folder, step=20, value=3.0)
    last = [p[:3] for p in score_points(folder.scores(), folder.info["config"]) if p[0].startswith("by_nfe")]
    assert last == [("by_nfe/fd_digits/heun/cfg1", 4, 3.0)]


def test_different_scores_have_different_names(tmp_path):
    samplers = ["heun:grid=uniform,steps=2", "heun:grid=uniform,steps=4", "euler:grid=uniform,steps=2",
                "heun:grid=shifted,shift=3.0,steps=2"]  # fmt: skip
    metrics = ["fd_digits", "kid_digits", "fd_digits_n50", "fd_digits_n50_n50"]  # of extractors named so
    guidances, numbers, seeds = ["1", "3", "3-0.2to0.9"], [100, 50, 500], [0, 1, 10]
    folder = make_run(tmp_path / "run")
    keys = [
        key(sampler=s, metric=m, guidance=g, n=n, sampling_seed=i)
        for s, m, g, n, i in itertools.product(samplers, metrics, guidances, numbers, seeds)
    ]
    folder.add_scores(keys, [{"value": i, "better": "lower", "real_floor": 0.0} for i in range(len(keys))])
    names = [p[0] for p in score_points(folder.scores(), folder.info["config"]) if "real_floor" not in p[0]]
    steps = [name for name in names if not name.startswith("by_nfe")]
    assert len(set(steps)) == len(keys)
    assert all(metric_name(name) == name for name in names)
    curves = {name for name in names if name.startswith("by_nfe")}
    assert len(curves) == 3 * 4 * 3 * 2 * 3  # families: heun, euler, heun-shifted; every_n=50 is not drawn


# Where the store is


def test_the_default_is_a_database_here_and_artifacts_beside_it(tables, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(tables, "mlflow.db")
    assert tracking_uri() == "sqlite:///mlflow.db"
    folder = make_run(tmp_path / "run")
    m = mirror(folder)
    assert m.close("FINISHED", "finished"), m.error
    run = runs(connect(f"sqlite:///{tmp_path}/mlflow.db"))["run"]
    assert run.info.artifact_uri.startswith((tmp_path / "mlartifacts" / EXPERIMENT).as_uri())
    assert (tmp_path / "mlartifacts" / EXPERIMENT / m.run_id / "artifacts" / "config.json").exists()


@pytest.mark.parametrize(
    "uri",
    [
        "file:///tmp/mlruns",
        "./mlruns",
        "mlruns",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "databricks",
    ],
)
def test_a_store_that_cannot_be_written_is_refused(monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UserError, match="MLFLOW_TRACKING_URI got") as caught:
        tracking_uri()
    assert len(str(caught.value)) <= 192


@pytest.mark.parametrize(
    "uri",
    ["postgresql://me:secret@host/db", "http://me:secret@host:5000", "mysql+pymysql://me:secret@host/db",
     "postgresql://host/db?user=me&password=secret&x=1", "failed at https://me:secret@host/api (retry)"],
)  # fmt: skip
def test_passwords_are_hidden(uri):
    assert "secret" not in hidden(uri)
    assert "host" in hidden(uri)
    assert hidden("http://host:5000/a") == "http://host:5000/a"


def test_the_command_line_is_read_without_torch_and_mlflow():
    code = "import sys, experiments.run; print(sorted({'torch', 'mlflow', 'pandas'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_git_commit_is_that_of_this_file():
    commit = git_commit()
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=Path(tracking.__file__).parent, capture_output=True
    )
    assert commit.partition("+")[0] == head.stdout.decode().strip()


# Stores that fail


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


def test_a_deleted_experiment_is_one_line(client, tmp_path, caplog):
    folder = make_run(tmp_path / "run")
    client.delete_experiment(client.create_experiment(EXPERIMENT))
    assert not mirror(folder).close("FINISHED", "finished")
    assert len(caplog.records) == 1
    assert "active" in caplog.text


def test_a_deleted_run_is_made_again(client, tmp_path):
    folder = make_run(tmp_path / "run")
    log(folder, 5)
    first = mirror(folder)
    assert first.close("FINISHED", "finished")
    client.delete_run(first.run_id)
    assert mirror(folder).close("FINISHED", "finished")
    assert runs(client)["run"].info.run_id != first.run_id
    assert points(client, runs(client)["run"]) == logged(folder)


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
        (tmp_path / "dead" / "config.json").write_text(json.dumps(info | {"id": "other"}))
    if why == "no folder":
        shutil.rmtree(tmp_path / "dead")
    next_run(tmp_path)
    assert runs(client)["dead"].info.status == "RUNNING"


# Several processes


def mirrored_in_pieces(path: Path) -> None:
    folder = make_run(path)
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
        assert run.data.params == flatten(folder.info["config"])
        assert [f.path for f in client.list_artifacts(run.info.run_id)] == [
            "config.json",
            "pictures",
            "scores.csv",
        ]
        assert len(errors.splitlines()) <= 2, errors
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
