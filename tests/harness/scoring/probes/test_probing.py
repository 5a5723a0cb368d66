"""Probes as rows of a run: measured once at its end, found missing like any score, left out where asked."""

import json
from pathlib import Path

import pytest
from commands import (  # noqa: F401  fixtures
    QUICK,
    SMOKE,
    call,
    copy_fixture,
    finished_fixture,
    forget_plugins,
    rows,
    snapshot,
    unseal,
    work_elsewhere,
)
from mlflow import MlflowClient

from analysis.figures.apart.attention import read
from experiments.config.run import EvalConfig
from experiments.records.run_folder import RunFolder
from experiments.scoring.probes import default_probes
from experiments.scoring.probes.equivariance import Equivariance
from rope_dit.errors import Stopped

QUIET = [word for word in QUICK if word not in ("--probes", "none")]
TENTHS = [f"held_out_loss_t{k}" for k in range(10)]
ALL = ["held_out_loss", *TENTHS, "shift_error_border", "shift_error_interior",
       "attention_distance", "attention_entropy"]  # fmt: skip
EMPTY = ("sampler", "guidance", "nfe", "grid", "classes", "extractor", "n", "n_real", "sampling_seed",
         "real_floor", "untrained", "images_sha256", "extractor_sha256")  # fmt: skip
SHOWN = """
from experiments.config.registries import PROBES


@PROBES.register("shown")
class Shown:
    "Mean of what the probe is given."

    values = {"shown": "lower", "never": "lower"}
    default_on = False
    cost = "nothing"

    def measure(self, subject):
        batches = [*subject.batches(50, "shown")]
        noised = [batch.noised(batch.labels_B.float() / 10, 0)[0].double().sum().item() for batch in batches]
        return {"shown": sum(noised)}
"""
"""a plug-in that says which pictures, classes and noise it was given, whatever the network"""


@pytest.fixture(autouse=True)
def no_plugins():
    yield
    forget_plugins()


def probed(folder: Path) -> list[dict[str, str]]:
    return [row for row in rows(folder) if row["sampler"] == "-"]


def made(*args: str, out: str = "run", code: int = 0) -> str:
    result = call("run", *QUIET, "--out", out, *args)
    assert result.code == code, result.err
    return str(result.out + result.err)


def test_those_that_are_on_where_nobody_asks_are_the_default():
    assert sorted(EvalConfig().probes) == sorted(default_probes())


def test_a_run_has_a_row_of_each_value(finished):
    found = probed(finished)
    assert [row["metric"] for row in found] == ALL
    for row in found:
        assert {row[name] for name in EMPTY} == {"-"}, row["metric"]
        assert (row["train_step"], row["tokens"], row["extrapolation"]) == ("20", "trained", "none")
        assert (row["ema"], row["sampling_seconds"]) == ("0.9", "0.0")
    loss, *tenths = (float(row["value"]) for row in found[:11])
    assert loss == pytest.approx(sum(tenths) / 10)
    assert {row["metric"] for row in rows(finished) if row["train_step"] == "10"}.isdisjoint(ALL)


def test_what_attention_saw_is_kept_where_it_can_be_drawn_and_goes_to_the_store(finished, monkeypatch):
    heads, maps = read(finished / "probes/00000020-attention")
    assert (len(heads), len(maps)) == (2 * 2, 2 * 2 * 3 * 4 * 4)
    mean = {row["metric"]: float(row["value"]) for row in probed(finished)}
    assert heads["distance"].mean() == pytest.approx(mean["attention_distance"])
    client = MlflowClient(f"sqlite:///{finished.parent}/mlflow.db")
    [run] = client.search_runs([e.experiment_id for e in client.search_experiments()],
                               f"tags.run_uid = '{RunFolder(finished).record.id}'")  # fmt: skip
    kept = client.list_artifacts(run.info.run_id, "probes/00000020-attention")
    assert [Path(file.path).name for file in kept] == ["heads.csv", "maps.csv"]
    assert run.data.metrics["probes/held_out_loss"] == mean["held_out_loss"]
    assert not [key for key in run.data.metrics if "floor" in key and "held_out_loss" in key]


def test_a_second_call_measures_nothing_and_the_table_names_the_probes_in_a_line(copy):
    before = snapshot(copy)
    result = call("run", *SMOKE, "--out", "run")
    assert "nothing to do" in result.out
    assert snapshot(copy) == before
    [line] = [line for line in result.out.splitlines() if line.startswith("probes: ")]
    assert line.startswith("probes: held_out_loss 1.")
    assert "attention_entropy 2." in line
    assert "_t0" not in line


def test_evaluate_probes_a_run_that_was_not_probed_and_another_average():
    made("--probes", "none")
    before = rows(Path("run"))
    assert not probed(Path("run"))
    for average, folder in ((), "attention"), (("--averages", "raw"), "attention-ema-raw"):
        result = call("evaluate", "run", "--probes", "attention", "bits_per_dim:steps=1,draws=1", *average)
        assert (result.code, result.err) == (0, "")
        assert Path(f"run/probes/00000020-{folder}/maps.csv").exists()
    found = probed(Path("run"))
    assert [row for row in rows(Path("run")) if row["ema"] == "0.9"][: len(before)] == before
    names = ["attention_distance", "attention_entropy", "bits_per_dim"]
    assert [(row["ema"], row["metric"]) for row in found] == [(e, n) for e in ("0.9", "raw") for n in names]
    assert "nothing to do" in call("evaluate", "run", "--probes", "attention").out


def test_a_run_of_before_there_were_probes_gets_none_unless_they_are_asked_for():
    assert call("run", *QUICK).code == 0
    [folder] = Path("runs").iterdir()
    config = json.loads((folder / "config.json").read_text())
    for name in ("probes", "token_grids", "extrapolations"):
        del config["config"]["eval"][name]
    (folder / "config.json").write_text(json.dumps(config))
    unseal(folder)
    assert "nothing to do" in call("run", *QUIET).out  # found by what it is
    assert "nothing to do" in made(out=str(folder))
    assert "nothing to do" in call("evaluate", folder).out
    assert not probed(folder)
    made("--probes", "held_out_loss", out=str(folder))
    assert len(probed(folder)) == 11


def test_a_run_that_is_stopped_between_probes_goes_on_with_the_next(monkeypatch):
    def stopped(self, subject):
        if len(subject.pixels) > 2:  # not where it is tried
            raise Stopped
        return {"shift_error_border": 0.0}

    with monkeypatch.context() as patch:
        patch.setattr(Equivariance, "measure", stopped)
        made(code=130)
    first = rows(Path("run"))
    assert [row["metric"] for row in first if row["sampler"] == "-"] == ALL[:11]
    made()
    assert rows(Path("run"))[: len(first)] == first
    assert [row["metric"] for row in probed(Path("run"))] == ALL


def test_arms_and_seeds_are_measured_on_the_same_pictures_and_a_value_may_be_missing():
    Path("own").mkdir()
    Path("own/shown.py").write_text(SHOWN)
    for variant, seed in (("rope2d", "0"), ("learned", "1")):
        made("--plugins", "own", "--probes", "shown", "--variant", variant, "--seed", seed, out=variant)
    both = [probed(Path(variant)) for variant in ("rope2d", "learned")]
    assert [[row["metric"] for row in found] for found in both] == [["shown"], ["shown"]]
    assert both[0][0]["value"] == both[1][0]["value"]
    assert "nothing to do" in made("--plugins", "own", "--probes", "shown", out="rope2d")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--probes", "held_out_los"), "Did you mean 'held_out_loss'?"),
        (("--probes", "bits_per_dim:steps=0"), "option 'steps' got 0"),
        (("--probes", "attention", "attention"), "eval.probes got 'attention attention', expected each once"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(args, words):
    assert words in made(*args, code=2)
    assert not Path("run").exists()


def test_a_probe_that_fails_does_so_before_the_first_step():
    Path("own").mkdir()
    Path("own/shown.py").write_text(SHOWN.replace("sum(noised)", "subject.nothing"))
    said = made("--plugins", "own", "--probes", "shown", code=2)
    assert "probe 'shown' (own/shown.py:16)" in said
    assert not Path("run/config.json").exists()
