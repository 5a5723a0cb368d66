"""Finished runs, scored again and sampled from, without training."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
from commands import (  # noqa: F401  fixtures
    METRIC,
    QUICK,
    call,
    copy_fixture,
    finished_fixture,
    rows,
    snapshot,
    unseal,
    work_elsewhere,
)
from PIL import Image

from experiments.records.seal import sealed
from experiments.scoring.extractors.classifier_file import WEIGHTS
from rope_dit.samplers.spec import SamplerSpec

EVERYWHERE = "cfg:begin=0,end=1,weight="


def evaluated(copy: Path, *args: str) -> list[dict[str, str]]:
    """Call evaluate and return the rows it added; what was there must stay as it was."""
    before, weights = rows(copy), snapshot(copy / "checkpoints")
    config, log = (copy / "config.json").read_bytes(), (copy / "metrics.jsonl").read_bytes()
    result = call("evaluate", str(copy), *args)
    assert (result.code, result.err) == (0, "")
    assert rows(copy)[: len(before)] == before
    assert snapshot(copy / "checkpoints") == weights
    assert ((copy / "config.json").read_bytes(), (copy / "metrics.jsonl").read_bytes()) == (config, log)
    assert not (copy / "samples").exists()
    return rows(copy)[len(before) :]


def values(found: list[dict[str, str]], *names: str) -> set[tuple[str, ...]]:
    return {tuple(row[name] for name in names) for row in found}


def test_nothing_new_is_nothing_to_do(copy):
    before = snapshot(copy)
    result = call("evaluate", "run")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("run has all these scores; nothing to do.\n")
    assert "heun:grid=uniform,steps=2" in result.out
    assert snapshot(copy) == before


def test_other_samplers(copy):
    added = evaluated(copy, "--samplers", "heun:steps=2", "rk4:steps=1", "euler:steps=2,grid=shifted")
    samplers = {"rk4:grid=uniform,steps=1", "euler:grid=shifted,shift=3,steps=2"}
    assert values(added, "sampler", "n") == {(sampler, "100") for sampler in samplers}
    assert len(added) == 2 * 11
    assert (copy / "pictures/00000020-rk4-1-cfg1-seed0.png").exists()
    assert not evaluated(copy, "--samplers", "rk4:steps=1")


@pytest.mark.slow
def test_guidance_by_either_name(copy):
    added = evaluated(copy, "--guidance", "2", "--samplers", "euler:steps=4")
    assert values(added, "guidance", "nfe", "n") == {(EVERYWHERE + "2", "8.0", "100")}
    again = call("evaluate", "run", "--guidances", "2", "--samplers", "euler:steps=4")
    assert "nothing to do" in again.out
    interval = "cfg:weight=2,begin=0.4,end=0.6"
    added = evaluated(copy, "--guidance", interval, "--samplers", "euler:steps=4")
    assert values(added, "guidance", "nfe") == {("cfg:begin=0.4,end=0.6,weight=2", "5.0")}


def test_other_numbers_of_pictures_and_seeds(copy):
    added = evaluated(copy, "--n", "30", "100", "--samplers", "heun:steps=2")
    assert values(added, "n", "sampling_seed") == {("30", "0")}
    added = evaluated(copy, "--sampling-seeds", "2", "--samplers", "heun:steps=2")
    assert values(added, "n", "sampling_seed") == {("100", "1")}
    old = [row for row in rows(copy) if row["sampling_seed"] == "0"]
    assert not values(old, "images_sha256") & values(added, "images_sha256")


def test_an_extractor_of_ones_own_and_another_of_its_name(copy):
    shipped = WEIGHTS / "digits.safetensors"
    shutil.copy(shipped, "mine.safetensors")
    added = evaluated(copy, "--extractor", "mine.safetensors", "--samplers", "heun:steps=2")
    assert "fd_mine" in {row["metric"] for row in added}
    with safetensors.safe_open(shipped, "pt") as file:
        tensors, about = {key: file.get_tensor(key) * 1.01 for key in file.keys()}, file.metadata()
    safetensors.torch.save_file(tensors, "mine.safetensors", about)
    result = call("evaluate", "run", "--extractor", "mine.safetensors", "--samplers", "rk4:steps=1")
    assert result.code == 2
    assert result.err == "error: run was scored with another extractor mine; give this one another name.\n"


@pytest.mark.slow
def test_weights_of_the_run_s_extractor_do_not_stay_with_another(copy):
    record = json.loads((copy / "config.json").read_text())
    record["config"]["eval"] |= {"extractor": "inception", "inception_weights": "nowhere.pth"}
    (copy / "config.json").write_text(json.dumps(sealed(record)))
    added = evaluated(copy, "--extractor", "digits", "--samplers", "rk4:steps=1")
    assert values(added, "extractor") == {("digits",), ("-",)}
    for again in ((), ("--extractor", "inception")):
        result = call("evaluate", "run", *again)
        assert (result.code, "nowhere.pth" in result.err) == (2, True)


def test_a_metric_that_came_later(copy):
    Path("own").mkdir()
    Path("own/bias.py").write_text(METRIC)
    added = evaluated(copy, "--plugins", "own", "--samplers", "heun:steps=2")
    assert values(added, "metric", "value", "better", "n") == {("bias_digits", "0.0", "lower", "100")}
    assert not evaluated(copy, "--plugins", "own", "--samplers", "heun:steps=2")


@pytest.mark.slow
def test_scores_of_a_guidance_that_is_not_here_stand_in_the_summary(copy):
    unseal(copy)
    before, _, after = (copy / "scores.csv").read_text().rpartition('"cfg:begin=0,end=1,weight=1"')
    (copy / "scores.csv").write_text(f"{before}mine:w=3{after}")
    result = call("evaluate", "run")
    assert result.code == 0, result.err
    assert "guidance mine:w=3\n" in result.out


@pytest.mark.slow
def test_a_metric_that_needs_more_pictures_than_the_run_had(copy):
    """More than its scores and its curve are of: it is scored anew, sampled from, and refused as it was."""
    Path("own").mkdir()
    Path("own/bias.py").write_text(METRIC.replace("min_images = 2", "min_images = 150"))
    added = evaluated(copy, "--plugins", "own", "--n", "160", "--samplers", "heun:steps=2")
    assert ("bias_digits", "160") in values(added, "metric", "n")
    sampled("--out", "few.npz", "--n", "5", "--plugins", "own")
    refused = call("evaluate", "run", "--plugins", "own", "--samplers", "rk4:steps=1")
    assert refused.err == "error: eval.n got 100, expected at least 150, which the metrics need.\n"


@pytest.mark.slow
def test_a_curve_counts_where_it_is_drawn():
    Path("own").mkdir()
    Path("own/bias.py").write_text(METRIC.replace("min_images = 2", "min_images = 150"))
    dry = ("--preset", "smoke", "--train.threads", "1", "--plugins", "own", "--eval.n", "160", "--dry-run")
    refused = call("run", *dry)
    assert refused.err == "error: eval.every-n got 50, expected at least 150, which the metrics need.\n"
    assert call("run", *dry, "--eval.every", "0").code == 0


def test_as_many_pictures_as_the_run_are_the_same_pictures(copy, finished):
    (copy / "scores.csv").unlink()
    call("evaluate", "run", "--n", "100")
    again = values(rows(copy), "sampler", "metric", "value", "images_sha256")
    assert again
    assert again <= values(rows(finished), "sampler", "metric", "value", "images_sha256")


def sampled(*args: str) -> None:
    result = call("sample", "run", *args)
    assert (result.code, result.err) == (0, "")


def test_samples_are_the_pictures_that_were_scored(copy):
    before = snapshot(copy)
    sampled("--out", "all.npz", "--n", "100")
    sampled("--out", "some.npz", "--n", "60", "--sampler", "euler:steps=4", "--guidance", "1")
    assert snapshot(copy) == before
    with np.load("all.npz") as file, np.load("some.npz") as part:
        pictures, labels = file["arr_0"], file["arr_1"]
        assert (pictures.dtype, pictures.shape) == (np.uint8, (100, 8, 8, 1))
        assert (labels.dtype, labels.shape) == (np.int64, (100,))
        assert set(labels) == set(range(10))
        assert (pictures[:60] == part["arr_0"]).all()
        assert (labels[:60] == part["arr_1"]).all()
    (scored,) = {r["images_sha256"] for r in rows(copy) if r["n"] == "100" and "euler" in r["sampler"]}
    assert hashlib.sha256(pictures.transpose(0, 3, 1, 2).tobytes()).hexdigest() == scored


def test_samples_as_files(copy):
    sampled("--out", "all.npz", "--n", "12")
    sampled("--out", "files", "--n", "12")
    with np.load("all.npz") as file:
        names = [f"{i:06d}-{label}.png" for i, label in enumerate(file["arr_1"])]
        assert sorted(path.name for path in Path("files").iterdir()) == names
        for name, picture in zip(names, file["arr_0"], strict=True):
            with Image.open(Path("files") / name) as image:
                assert (np.asarray(image) == picture[..., 0]).all()


def test_other_samplers_guidances_and_seeds_give_other_pictures(copy):
    for name, args in {
        "plain": (),
        "heun": ("--sampler", "heun:steps=2"),
        "guided": ("--guidance", "3"),
        "seed": ("--sampling-seed", "1"),
    }.items():
        sampled("--out", f"{name}.npz", "--n", "5", *args)
    found = {}
    for path in Path(".").glob("*.npz"):
        with np.load(path) as file:
            found[file["arr_0"].tobytes()] = path
    assert len(found) == 4


def test_a_run_is_scored_and_sampled_with_the_noise_of_its_seed():
    made = call("run", *QUICK, "--seed", "3", "--eval.sampling-seeds", "2", "--out", "run")
    assert made.code == 0, made.err
    assert values(rows(Path("run")), "sampling_seed") == {("3000",), ("3001",)}
    assert "steps=1, sampling seed 3001" in made.out
    assert "sampling seed 3000" not in made.out  # it is the first
    scored = {row["sampling_seed"]: row["images_sha256"] for row in rows(Path("run"))}
    assert sampled_sha256() == scored["3000"]
    assert sampled_sha256("--sampling-seed", "3001") == scored["3001"]
    refused = call("run", *QUICK, "--seed", "3", "--out", "run", "--eval.fixed-noise")
    assert refused.code == 2
    assert "eval.fixed-noise got True, expected nothing, for run is scored with noise of its" in refused.err


@pytest.mark.slow
def test_a_run_of_before_noise_followed_the_seed_keeps_the_noise_of_all():
    made = call("run", *QUICK, "--seed", "3", "--eval.fixed-noise", "--out", "run")
    assert made.code == 0, made.err
    record = json.loads(Path("run/config.json").read_text())
    assert record["config"]["eval"].pop("fixed_noise") is True
    del record["sha256"]
    Path("run/config.json").write_text(json.dumps(record))
    assert "nothing to do" in call("run", *QUICK, "--seed", "3", "--out", "run").out
    assert "nothing to do" in call("evaluate", "run").out
    assert values(evaluated(Path("run"), "--sampling-seeds", "2"), "sampling_seed") == {("1",)}
    again = call("run", *QUICK, "--seed", "3", "--eval.sampling-seeds", "3", "--out", "run")
    assert again.code == 0, again.err
    assert values(rows(Path("run")), "sampling_seed") == {("0",), ("1",), ("2",)}


def sampled_sha256(*args: str) -> str:
    """SHA-256 of ten pictures, as scores have it."""
    sampled("--out", f"{len(args)}.npz", "--n", "10", *args)
    with np.load(f"{len(args)}.npz") as file:
        return hashlib.sha256(file["arr_0"].transpose(0, 3, 1, 2).tobytes()).hexdigest()


@pytest.mark.slow
def test_sample_takes_the_average_of_the_run():
    made = call("run", *QUICK, "--eval.averages", "raw", "--out", "run")
    assert made.code == 0, made.err
    (scored,) = {row["images_sha256"] for row in rows(Path("run"))}
    assert sampled_sha256() == scored
    assert sampled_sha256("--average", "warmup:decay=0.9") != scored


@pytest.mark.slow
def test_sample_takes_the_guidance_of_the_run():
    made = call("run", *QUICK, "--eval.guidances", "cfg:weight=500,begin=0.5", "--out", "run")
    assert made.code == 0, made.err
    (scored,) = {row["images_sha256"] for row in rows(Path("run"))}
    assert sampled_sha256() == scored  # of euler's one step, at t = 0, where this guidance does not act
    evaluated(Path("run"), "--guidances", "500")
    assert {row["guidance"]: row["images_sha256"] for row in rows(Path("run"))}[EVERYWHERE + "500"] != scored


@pytest.mark.slow
def test_an_unconditional_run_is_evaluated_and_sampled():
    made = call("run", *QUICK, "--model.no-conditional", "--out", "run")
    assert made.code == 0, made.err
    added = evaluated(Path("run"), "--samplers", "heun:steps=1")
    assert values(added, "sampler") == {(str(SamplerSpec.parse("heun:steps=1")),)}
    sampled("--out", "x.npz", "--n", "10")
