"""Runs that keep several averages: all are scored, the first counts, and they stay as they were begun."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import SMOKE, call, finished_fixture, rows, snapshot, work_elsewhere  # noqa: F401
from safetensors.torch import load_file

from experiments.records.mlflow_store import connect, tracking_uri
from experiments.records.run_folder import RunFolder
from experiments.records.seal import sealed
from experiments.runner.execute import make_generator
from experiments.runner.reopen import open_run, read_config
from experiments.scoring.jobs import final_jobs

TWO = ("--train.averages", "warmup:decay=0.9", "power:std=0.2")
SAMPLER = ("--eval.samplers", "euler:steps=1", "--eval.n", "60")
NAMES = ("0.9", "power-std0.2")


@pytest.fixture(scope="module")
def made(finished, tmp_path_factory):
    """A finished run with two averages, and scores on the way."""
    folder = tmp_path_factory.mktemp("two")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{finished.parent}/mlflow.db")
        result = call("run", *SMOKE, *SAMPLER, *TWO, "--study", "averages", "--out", folder / "run")
    assert result.code == 0, result.err
    return folder / "run", result.out


@pytest.fixture
def two(made):
    """A copy of it, `run` in the current folder."""
    return Path(shutil.copytree(made[0], "run"))


def averages(folder: Path, **which: str) -> list[str]:
    """Averages of the distances, in the order of the rows that agree with `which`."""
    found = (row for row in rows(folder) if row["metric"] == "fd_digits")
    return [row["ema"] for row in found if all(row[key] == value for key, value in which.items())]


def kept(folder: Path) -> set[str]:
    """Averages in the newest checkpoint."""
    names = load_file(max((folder / "checkpoints").glob("*.safetensors")))
    return {name for name in NAMES for key in names if key.startswith(f"ema.{name}.")}


def metrics_of(uid: str) -> set[str]:
    """Names of what the store has of a run."""
    client = connect(tracking_uri())
    number = client.get_experiment_by_name("averages").experiment_id
    (run,) = client.search_runs([number], f"tags.run_uid = '{uid}'")
    return set(run.data.metrics)


def read_id(folder: Path) -> str:
    record = RunFolder(folder).record
    assert record is not None
    return record.id


def sha256_of(file: str) -> str:
    """Of the pictures that `sample` wrote."""
    with np.load(file) as found:
        return hashlib.sha256(found["arr_0"].transpose(0, 3, 1, 2).tobytes()).hexdigest()


def pictures_of(folder: Path, prefix: str) -> str:
    """SHA-256 of the first 60 pictures of those weights in the checkpoint whose names begin so."""
    resolved, training = open_run(read_config(folder))
    generator, job = make_generator(resolved, lambda: False), final_jobs(resolved.config)[0]
    held = load_file(max((folder / "checkpoints").glob("*.safetensors")))
    generator.load([held[prefix + name] for name, _ in training.model.named_parameters()], 20)
    chunks = [generator.chunk_of(i, job.sampler, job.guidance, 0)[0] for i in range(3)]
    return hashlib.sha256(torch.cat(chunks)[:60].numpy().tobytes()).hexdigest()


def test_all_are_scored_at_the_end_and_the_first_on_the_way(made):
    folder, out = made
    assert averages(folder, train_step="10") == ["0.9"]
    assert averages(folder, train_step="20", n="50") == ["0.9"]
    assert averages(folder, train_step="20", n="60") == [*NAMES]
    assert {path.name for path in (folder / "pictures").iterdir()} == {
        f"{name}.png"
        for name in (
            "00000010-euler-1-cfg1-seed0",
            "00000020-euler-1-cfg1-seed0",
            "00000020-euler-1-cfg1-seed0-ema-power-std0.2",
        )
    }
    distances = [line for line in out.splitlines() if line.startswith("fd_digits ")]
    shown = [line.partition("steps=1")[2] for line in distances]
    assert shown == [f", average {name}" for name in ("0.9", *NAMES)]


def test_where_there_is_one_the_table_does_not_name_it(finished):
    assert "average" not in call("run", *SMOKE, "--out", finished).out


def test_the_store_names_those_after_the_first(made):
    found = metrics_of(read_id(made[0]))
    ends = {"fd_digits/euler-1-cfg1", "fd_digits/euler-1-cfg1-ema-power-std0.2"}
    assert {name for name in found if name.startswith("fd_digits/")} == ends


def test_raw_weights_are_scored_later(two):
    before = rows(two)
    done = call("evaluate", two, "--averages", "raw")
    assert (done.code, done.err) == (0, "")
    added = rows(two)[len(before) :]
    found = {(row["ema"], row["train_step"], row["n"]) for row in added}
    assert found == {("raw", "20", "60"), ("raw", "20", "-")}
    assert "fd_digits/euler-1-cfg1-ema-raw" in metrics_of(read_id(two))
    assert (two / "pictures/00000020-euler-1-cfg1-seed0-ema-raw.png").exists()
    (scored,) = {row["images_sha256"] for row in added if row["n"] == "60"}
    assert pictures_of(two, "model.") == scored
    assert "nothing to do" in call("evaluate", two, "--averages", "raw").out


@pytest.mark.parametrize("name", NAMES)
def test_the_scores_of_an_average_are_of_its_own_weights(two, name):
    (scored,) = {row["images_sha256"] for row in rows(two) if (row["ema"], row["n"]) == (name, "60")}
    assert pictures_of(two, f"ema.{name}.") == scored


def test_an_average_that_was_not_kept_is_not_scored(two):
    before = snapshot(two)
    for average in ("warmup:decay=0.5", "constant"):
        refused = call("evaluate", two, "--averages", average)
        assert refused.code == 2
        assert "expected raw or an average that the run keeps: 0.9, power-std0.2" in refused.err
    assert snapshot(two) == before


def test_whoever_asks_for_fewer_leaves_the_run_as_it_was_begun(two):
    before = snapshot(two)
    for spec in ("warmup:decay=0.9", "power:std=0.2"):
        again = call("run", *SMOKE, *SAMPLER, "--train.averages", spec, "--out", two)
        assert (again.code, "is finished; nothing to do" in again.out) == (0, True), again.err
    assert snapshot(two) == before
    asked = ("--train.averages", "power:std=0.2", "--out", two)
    more = call("run", *SMOKE, "--eval.n", "60", "--eval.samplers", "heun:steps=1", *asked)
    assert more.code == 0, more.err
    assert averages(two, sampler="heun:grid=uniform,steps=1", n="60") == ["power-std0.2"]
    assert (two / "pictures/00000020-heun-1-cfg1-seed0-ema-power-std0.2.png").exists()


def test_and_one_that_is_gone_on_with_keeps_them_all(made, tmp_path):
    begin = call("run", *SMOKE, *SAMPLER, *TWO, "--until", "10", "--runs", tmp_path / "runs")
    assert begin.code == 0, begin.err
    (folder,) = (tmp_path / "runs").iterdir()
    end = call("run", *SMOKE, *SAMPLER, "--train.averages", "power:std=0.2", "--runs", tmp_path / "runs")
    assert end.code == 0, end.err
    assert [*(tmp_path / "runs").iterdir()] == [folder]
    assert kept(folder) == {*NAMES}
    newest = [max((run / "checkpoints").glob("*.safetensors")).name for run in (folder, made[0])]
    assert newest[0] == newest[1]  # it holds the SHA-256 of what is in it
    assert averages(folder, train_step="20", n="60") == ["power-std0.2"]
    assert averages(folder, train_step="20", n="50") == ["0.9"]  # the curve goes on as it was begun


def test_one_that_was_not_kept_is_refused_before_anything_is_done(two):
    before = snapshot(two)
    asked = ("--train.averages", "warmup:decay=0.9", "constant:decay=0.5", "--out", two)
    refused = call("run", *SMOKE, *SAMPLER, *asked)
    assert refused.code == 2
    says = f"train.averages: {two} did not keep 'constant-decay0.5' from its start; it has 0.9, power-std0.2."
    assert refused.err.startswith(f"error: {says}")
    assert snapshot(two) == before


def test_other_weights_are_another_run_whatever_its_averages(two):
    refused = call("run", *SMOKE, "--train.averages", "constant", "--train.lr", "1e-4", "--out", two)
    assert (refused.code, "train.lr: there 0.002, now 0.0001" in refused.err) == (2, True)
    assert "did not keep" not in refused.err


def test_samples_are_of_the_first_or_of_the_one_asked_for(two):
    found = {}
    for name, asked in {"0.9": (), "power-std0.2": ("--average", "power:std=0.2")}.items():
        done = call("sample", two, "--n", "60", "--out", f"{name}.npz", *asked)
        assert (done.code, done.err) == (0, "")
        found[name] = sha256_of(f"{name}.npz")
    scored = {row["ema"]: row["images_sha256"] for row in rows(two) if row["n"] == "60"}
    assert found == scored
    done = call("sample", two, "--n", "60", "--out", "raw.npz", "--average", "raw")
    assert (done.code, sha256_of("raw.npz")) == (0, pictures_of(two, "model."))
    refused = call("sample", two, "--n", "60", "--out", "x.npz", "--average", "constant")
    assert (refused.code, "expected raw or an average that the run keeps" in refused.err) == (2, True)


def test_a_run_that_is_no_good_without_its_averages_says_which_it_lacks(two):
    """Where the record and the checkpoint differ, as after a hand has changed one."""
    text = (two / "config.json").read_text().replace("power:std=0.2", "power:std=0.1")
    (two / "config.json").write_text(json.dumps(sealed(json.loads(text))))
    refused = call("evaluate", two)
    assert refused.code == 2
    assert "the run did not keep 'power'" in refused.err
