"""The mirror of a run folder in MLflow: everything, once, under names that stay."""

import itertools
import math
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from mirrors import (  # noqa: F401
    EXPERIMENT,
    SMOKE,
    STORED,
    client_fixture,
    key,
    log,
    logged,
    make_run,
    mirror,
    points,
    runs,
    score,
    tables_fixture,
    tags,
)

from experiments.config.text import flatten, to_json
from experiments.records.mlflow_mirror import score_points
from experiments.records.mlflow_store import PARAM_LENGTH, TAG_LENGTH, connect, metric_name, tracking_uri
from experiments.records.run_folder import RunFolder

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
    assert [f.path for f in client.list_artifacts(m.run_id)] == STORED
    log_file = Path(client.download_artifacts(m.run_id, "metrics.jsonl"))
    assert log_file.read_bytes() == (folder.path / "metrics.jsonl").read_bytes()
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


def test_the_command_line_is_read_without_torch_and_mlflow():
    code = "import sys, experiments.run; print(sorted({'torch', 'mlflow', 'pandas'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Names of scores


def test_a_curve_keeps_its_name_when_the_final_scores_come(tmp_path):
    folder = make_run(tmp_path / "run")
    config = folder.info["config"]
    score(folder, step=10, n=50)
    during = list(score_points(folder.scores(), config))
    score(folder, step=20, n=50)
    score(folder, step=20, n=100)
    after = list(score_points(folder.scores(), config))
    assert [name for name, *_ in during] == ["fd_digits_n50/heun-2-cfg1", "real_floor/fd_digits_n50"]
    assert after[:2] == during
    assert [(name, step) for name, step, *_ in after[2:]] == [
        ("fd_digits_n50/heun-2-cfg1", 20), ("real_floor/fd_digits_n50", 20),
        ("fd_digits/heun-2-cfg1", 20), ("real_floor/fd_digits", 20), ("by_nfe/fd_digits/heun-cfg1", 4),
    ]  # fmt: skip


def test_only_the_last_step_is_drawn_against_nfe(tmp_path):
    same_n = replace(SMOKE, eval=replace(SMOKE.eval, every_n=100))
    folder = make_run(tmp_path / "run", same_n)
    score(folder, step=10, value=9.0)
    assert not [name for name, *_ in score_points(folder.scores(), folder.info["config"]) if "by_nfe" in name]
    score(folder, step=20, value=3.0)
    last = [p[:3] for p in score_points(folder.scores(), folder.info["config"]) if p[0].startswith("by_nfe")]
    assert last == [("by_nfe/fd_digits/heun-cfg1", 4, 3.0)]


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
