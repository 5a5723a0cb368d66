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
    log,
    logged,
    make_run,
    mirror,
    points,
    runs,
    score,
    scored,
    tables_fixture,
    tags,
)

from experiments.config.text import flatten, to_json
from experiments.records.mlflow_names import PARAM_LENGTH, TAG_LENGTH, Naming, metric_name, score_points
from experiments.records.mlflow_store import connect, tracking_uri
from experiments.records.run_folder import RunFolder
from experiments.records.score import sampling_seed
from rope_dit.guidance.spec import GuidanceSpec

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
    assert info.start_time == int(folder.record.created * 1000)
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

NAMING = Naming.of_config(to_json(SMOKE))


def names(*scores, naming=NAMING):
    """Names and steps of the points of scores."""
    return [(name, step) for name, step, *_ in score_points(scores, naming)]


def test_naming_is_what_a_record_s_settings_say():
    assert NAMING == Naming(main_n=100, rough_n=50, last_step=20, ns=(100,), average="0.9")
    several = to_json(replace(SMOKE, eval=replace(SMOKE.eval, n=(200, 100))))
    assert Naming.of_config(several) == Naming(
        main_n=200, rough_n=50, last_step=20, ns=(200, 100), average="0.9"
    )


DIGITS = {"train": {"steps": 20, "ema_decay": 0.9}, "eval": {"n": [1000], "every_n": 500}}
"""as before there were several averages"""


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ({}, "fd_digits/heun-25-cfg1 real_floor/fd_digits by_nfe/fd_digits/heun-cfg1"),
        ({"n": 500}, "fd_digits_n500/heun-25-cfg1 real_floor/fd_digits_n500"),
        ({"step": 10}, "fd_digits/heun-25-cfg1 real_floor/fd_digits"),
        ({"sampling_seed": 1},
         "fd_digits/heun-25-cfg1-seed1 real_floor/fd_digits by_nfe/fd_digits/heun-cfg1-seed1"),
        ({"guidance": "cfg:begin=0,end=1,weight=3"},
         "fd_digits/heun-25-cfg3 real_floor/fd_digits by_nfe/fd_digits/heun-cfg3"),
        ({"guidance": "cfg:begin=0.2,end=0.9,weight=3"},
         "fd_digits/heun-25-cfg3-0.2to0.9 real_floor/fd_digits by_nfe/fd_digits/heun-cfg3-0.2to0.9"),
        ({"guidance": "cfg:begin=1e-05,end=0.9,weight=2.5"},
         "fd_digits/heun-25-cfg2.5-1e-05to0.9 real_floor/fd_digits by_nfe/fd_digits/heun-cfg2.5-1e-05to0.9"),
        ({"sampler": "euler:grid=shifted,shift=1.5,steps=50", "metric": "kid_digits"},
         "kid_digits/euler-50-shifted-shift1.5-cfg1 real_floor/kid_digits "
         "by_nfe/kid_digits/euler-shifted-shift1.5-cfg1"),
        ({"sampler": "dopri5:atol=0.0001,rtol=0.0001", "nfe": 61.6},
         "fd_digits/dopri5-cfg1 real_floor/fd_digits by_nfe/fd_digits/dopri5-cfg1"),
        ({"metric": "fd_digits_n500"},
         "fd_digits_n500_n1000/heun-25-cfg1 real_floor/fd_digits_n500_n1000 "
         "by_nfe/fd_digits_n500_n1000/heun-cfg1"),
        ({"nfe": None}, "fd_digits/heun-25-cfg1 real_floor/fd_digits"),
    ],
)  # fmt: skip
def test_names_are_those_that_stores_of_before_have(which, expected):
    one = scored(**{"sampler": "heun:grid=uniform,steps=25", "n": 1000, **which})
    points = list(score_points([one], Naming.of_config(DIGITS)))
    assert [name for name, *_ in points] == expected.split()
    step, nfe = one.key.train_step, round(one.key.nfe or 0)
    assert [point[1:] for point in points] == [(step, 2.5, 1e9), (step, 0.5, 1e9), (nfe, 2.5, 1e9)][
        : len(points)
    ]


def test_what_an_untrained_network_scores_stands_beside_the_floor_where_it_is_known():
    points = list(score_points([replace(scored(), untrained=25.0)], Naming.of_config(DIGITS)))
    assert ("untrained/fd_digits_n100", 20, 25.0, 1e9) in points
    assert len(points) == 1 + len(list(score_points([scored()], Naming.of_config(DIGITS))))


def test_a_floor_that_was_not_measured_is_no_curve():
    points = score_points([replace(scored(), real_floor=None)], Naming.of_config(DIGITS))
    assert not [name for name, *_ in points if name.startswith("real_floor/")]


TWO = replace(SMOKE, train=replace(SMOKE.train, averages=("power:std=0.05", "warmup:decay=0.9")))


def test_scores_of_another_average_than_the_run_s_first_are_named_by_it():
    naming = Naming.of_config(to_json(TWO))
    assert naming == Naming.of_params(flatten(to_json(TWO)))
    found = [names(scored(ema=name), naming=naming) for name in ("power-std0.05", "0.9", "raw")]
    assert [points[0][0] for points in found] == [
        f"fd_digits/heun-2-cfg1{end}" for end in ("", "-ema-0.9", "-ema-raw")
    ]
    assert [points[-1][0] for points in found] == [
        f"by_nfe/fd_digits/heun-cfg1{end}" for end in ("", "-ema-0.9", "-ema-raw")
    ]


def test_a_store_s_params_of_before_say_the_same_average():
    params = flatten(DIGITS | {"train": {"steps": 20, "ema_decay": "0.9"}})
    assert Naming.of_params(params) == Naming.of_config(DIGITS)
    assert Naming.of_config(DIGITS).average == "0.9"


def test_a_curve_keeps_its_name_when_the_final_scores_come():
    during = [scored(step=10, n=50)]
    after = [*during, scored(step=20, n=50), scored(step=20, n=100)]
    assert names(*during) == [("fd_digits_n50/heun-2-cfg1", 10), ("real_floor/fd_digits_n50", 10)]
    assert names(*after)[:2] == names(*during)
    assert names(*after)[2:] == [
        ("fd_digits_n50/heun-2-cfg1", 20), ("real_floor/fd_digits_n50", 20),
        ("fd_digits/heun-2-cfg1", 20), ("real_floor/fd_digits", 20), ("by_nfe/fd_digits/heun-cfg1", 4),
    ]  # fmt: skip


def test_only_the_last_step_is_drawn_against_nfe():
    same_n = Naming.of_config(to_json(replace(SMOKE, eval=replace(SMOKE.eval, every_n=100))))
    early, last = scored(9.0, step=10), scored(3.0, step=20)
    assert not [name for name, _ in names(early, naming=same_n) if "by_nfe" in name]
    drawn = [p[:3] for p in score_points([early, last], same_n) if p[0].startswith("by_nfe")]
    assert drawn == [("by_nfe/fd_digits/heun-cfg1", 4, 3.0)]


def test_different_scores_have_different_names():
    samplers = ["heun:grid=uniform,steps=2", "heun:grid=uniform,steps=4", "euler:grid=uniform,steps=2",
                "heun:grid=shifted,shift=3.0,steps=2"]  # fmt: skip
    metrics = ["fd_digits", "kid_digits", "fd_digits_n50", "fd_digits_n50_n50"]  # of extractors named so
    guidances = [str(GuidanceSpec.parse(text)) for text in ("1", "3", "3-0.2to0.9")]
    numbers, seeds = [100, 50, 500], [0, 1, 10]
    scores = [
        scored(sampler=s, metric=m, guidance=g, n=n, sampling_seed=i)
        for s, m, g, n, i in itertools.product(samplers, metrics, guidances, numbers, seeds)
    ]
    found = [name for name, _ in names(*scores) if "real_floor" not in name]
    steps = [name for name in found if not name.startswith("by_nfe")]
    assert len(set(steps)) == len(scores)
    assert all(metric_name(name) == name for name in found)
    curves = {name for name in found if name.startswith("by_nfe")}
    assert len(curves) == 3 * 4 * 3 * 2 * 3  # families: heun, euler, heun-shifted; every_n=50 is not drawn


def test_a_sampling_is_named_by_its_index_so_that_curves_of_all_seeds_have_one_name():
    seeds = [sampling_seed(seed, 1) for seed in (0, 3, 2**63 - 1)]
    assert len(set(seeds)) == 3
    found = [names(scored(sampling_seed=seed)) for seed in seeds]
    assert found[0] == found[1] == found[2]
    assert found[0][0][0] == "fd_digits/heun-2-cfg1-seed1"
    assert names(scored(sampling_seed=sampling_seed(3, 0))) == names(scored(sampling_seed=0))


def test_names_need_no_torch_and_no_mlflow():
    module = "experiments.records.mlflow_names"
    code = f"import sys, {module}; print(sorted({{'torch', 'mlflow'}} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
