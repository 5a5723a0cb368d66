"""The frames that statistics, plots and notebooks read, from a store that two real runs made."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from commands import TWO_RUNS, two_runs_fixture  # noqa: F401  a fixture

from analysis import load
from experiments.config.run import RunConfig
from experiments.config.text import flatten
from experiments.records.mlflow_store import connect
from experiments.records.run_folder import RunFolder
from experiments.records.score import SCORE_COLUMNS
from rope_dit.errors import UserError


@pytest.fixture
def uri(two_runs):
    return f"sqlite:///{two_runs}/mlflow.db"


def folders(two_runs: Path) -> list[RunFolder]:
    """Run folders by arm: none, rope2d."""
    found = [RunFolder(path) for path in sorted((two_runs / "runs").iterdir())]
    for folder in found:
        folder.open_metrics(40)
    return found


def test_runs_has_a_row_a_run(two_runs, uri):
    frame = load.runs(TWO_RUNS, uri)
    assert list(frame["arm"]) == ["none", "rope2d:theta=100"]
    assert list(frame["variant"]) == ["none", "rope2d"]
    assert list(frame["status"]) == ["FINISHED"] * 2
    assert list(frame["outcome"]) == ["finished"] * 2
    assert list(frame["study"]) == [TWO_RUNS] * 2
    assert (frame["seed"].dtype, list(frame["seed"])) == ("int64", [0, 0])
    assert (frame["ended"] > frame["started"]).all()
    for row, folder in zip(frame.to_dict("records"), folders(two_runs), strict=True):
        assert row["name"] == folder.path.name
        assert row["fingerprint"].startswith(folder.path.name[-8:])
        assert {k: row[k] for k in folder.record.pairing} == folder.record.pairing
        settings = {k.removeprefix("params."): v for k, v in row.items() if k.startswith("params.")}
        assert settings == flatten(folder.record.config)


def test_curves_has_every_logged_point(two_runs, uri):
    frame = load.curves(TWO_RUNS, uri)
    assert frame.dtypes.astype(str).to_dict() == {
        "run_id": "str", "arm": "str", "seed": "int64", "key": "str", "step": "int64", "value": "float64",
        "time": "datetime64[us, UTC]",
    }  # fmt: skip
    assert not frame.duplicated(["run_id", "key", "step"]).any()
    for arm, folder in zip(["none", "rope2d:theta=100"], folders(two_runs), strict=True):
        mine = frame[frame["arm"] == arm]
        there = {(row.key, row.step, row.value) for row in mine.itertuples()}
        assert there >= {(key, step, value) for key, step, value, _ in folder.points()}
        assert set(mine["run_id"]) == set(load.runs(TWO_RUNS, uri).query("arm == @arm")["run_id"])
    loss = load.curves(TWO_RUNS, uri, contains="train/loss")
    assert set(loss["key"]) == {"train/loss"}
    assert len(loss) == (frame["key"] == "train/loss").sum() == 16


def test_scores_has_every_score_with_its_type(two_runs, uri):
    frame = load.scores(TWO_RUNS, uri)
    assert list(frame.columns) == ["run_id", *SCORE_COLUMNS]
    numbers = dict.fromkeys(("seed", "train_step"), "int64")
    numbers |= dict.fromkeys(("n", "n_real", "floor_n", "sampling_seed"), "Int64")
    numbers |= dict.fromkeys(("nfe", "value", "real_floor", "untrained", "sampling_seconds"), "float64") | {
        "time": "datetime64[us, UTC]"
    }
    numbers |= dict.fromkeys(("held_out", "held_out_floor"), "float64")
    assert frame.dtypes.astype(str).to_dict() == {name: numbers.get(name, "str") for name in frame.columns}
    assert set(frame.query("sampler.str.startswith('dopri5')")["grid"]) == {"-"}  # it has none; not missing
    sampled = frame[frame["sampler"] != "-"]
    assert set(sampled["guidance"]) == {"cfg:begin=0,end=1,weight=1"}
    distances = frame["metric"] == "fd_digits"  # they alone are measured from held-out pictures too
    assert (frame.loc[distances, ["held_out", "held_out_floor"]] > 0).all(axis=None)
    assert frame.loc[~distances, ["held_out", "held_out_floor"]].isna().all(axis=None)
    ids = load.runs(TWO_RUNS, uri).set_index("arm")["run_id"]
    for arm, folder in zip(["none", "rope2d:theta=100"], folders(two_runs), strict=True):
        mine = frame[frame["run_id"] == ids[arm]]
        with open(folder.path / "scores.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(mine["value"]) == [float(row["value"]) for row in rows]  # to the last bit
        assert list(mine["images_sha256"]) == [row["images_sha256"] for row in rows]
        assert set(mine["arm"]) == {arm}


def test_a_plot_against_steps_and_one_against_nfe_come_from_the_frames(uri):
    frame = load.scores(TWO_RUNS, uri).query("metric == 'fd_digits'")
    during = frame[(frame["n"] == 50) & frame["sampler"].str.startswith("euler")]
    by_step = during.pivot_table(index="train_step", columns="arm", values="value")
    assert list(by_step.index) == [10, 20, 30, 40]
    assert by_step.notna().to_numpy().all()
    last = frame[(frame["n"] == 100) & (frame["train_step"] == 40)]
    last = last.assign(family=last["sampler"].str.partition(":")[0])
    by_nfe = last.pivot_table(index="nfe", columns=["family", "arm"], values="value")
    assert by_nfe["euler"].dropna().index.tolist() == [2.0, 4.0, 8.0]
    assert by_nfe["heun"].dropna().index.tolist() == [2.0, 4.0]
    mlflow = load.curves(TWO_RUNS, uri, contains="by_nfe/fd_digits/euler-cfg1").query(
        "not key.str.contains('seed')"
    )
    same = last.query("family == 'euler' and sampling_seed == 0")
    assert sorted(zip(mlflow["arm"], mlflow["step"], mlflow["value"], strict=True)) == sorted(
        zip(same["arm"], same["nfe"].astype(int), same["value"], strict=True)
    )


# What is not there


def test_unknown_experiments_are_refused_with_those_there_are(uri):
    with pytest.raises(
        UserError, match=rf"no experiment 'two-arm'; there are: {TWO_RUNS}. Did you mean '{TWO_RUNS}'?"
    ):
        load.runs("two-arm", uri)


@pytest.mark.parametrize("function", [load.runs, load.curves, load.scores])
def test_an_experiment_without_runs_says_how_to_make_one(two_runs, tmp_path, function):
    there = f"sqlite:///{shutil.copy(two_runs / 'mlflow.db', tmp_path / 'mlflow.db')}"
    client = connect(there)
    client.create_run(client.create_experiment("empty"))  # somebody's, without our tags
    with pytest.raises(UserError, match=r"'empty' has no runs yet: .* --study empty"):
        function("empty", there)


def test_runs_without_scores_give_an_empty_frame_of_the_same_types(two_runs, tmp_path, uri):
    there = f"sqlite:///{shutil.copy(two_runs / 'mlflow.db', tmp_path / 'mlflow.db')}"
    client = connect(there)
    tags = {"run_uid": "u", "arm": "none", "seed": "3", "outcome": "running"}
    client.create_run(client.create_experiment("young", (tmp_path / "young").as_uri()), tags=tags)
    assert load.scores("young", there).dtypes.equals(load.scores(TWO_RUNS, uri).dtypes)
    assert load.curves("young", there).dtypes.equals(load.curves(TWO_RUNS, uri).dtypes)
    assert load.runs("young", there)[["seed", "status"]].to_numpy().tolist() == [[3, "RUNNING"]]
    assert load.runs("young", there)["ended"].isna().all()


@pytest.mark.parametrize("where", ["missing.db", "garbage.db", "server"])
def test_a_store_that_is_not_there_is_one_line_and_is_not_made(tmp_path, monkeypatch, where):
    (tmp_path / "garbage.db").write_bytes(b"garbage" * 100)
    there = "http://me:secret@127.0.0.1:9" if where == "server" else f"sqlite:///{tmp_path}/{where}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", there)
    with pytest.raises(UserError, match=r"no MLflow store at|cannot be read") as caught:
        load.runs(TWO_RUNS)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "missing.db").exists()


def test_reading_needs_no_torch():
    code = "import sys; from analysis import load; import mlflow; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_settings_are_documented_as_they_are(uri):
    frame = load.runs(TWO_RUNS, uri)
    fixed = [name for name in frame.columns if not name.startswith("params.")]
    assert all(name in load.runs.__doc__ for name in fixed)
    assert f"params.{next(iter(flatten(RunConfig())))}" in frame.columns
    assert isinstance(frame["started"].iloc[0], pd.Timestamp)
    assert os.path.exists(frame["folder"].iloc[0])
