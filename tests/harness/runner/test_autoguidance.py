"""Guidance by weaker weights of the same run, from the settings to the pictures."""

import hashlib
import shutil
from pathlib import Path

import pytest
import torch
from commands import SMOKE, call, finished_fixture, rows, snapshot, work_elsewhere  # noqa: F401
from safetensors.torch import load_file

from experiments.runner.execute import make_generator
from experiments.runner.reopen import open_run, read_config
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.samplers.spec import SamplerSpec

KEPT = ("--train.averages", "warmup:decay=0.9", "snapshot:at=10")
GUIDED = "autoguidance:weight=2,weak=snapshot_at10"
SAMPLER = ("--eval.samplers", "euler:steps=2", "--eval.n", "60")
CANONICAL = "autoguidance:begin=0,end=1,weak=snapshot_at10,weight=2"


@pytest.fixture(scope="module")
def made(finished, tmp_path_factory):
    """A run that is scored without guidance and with it."""
    folder = tmp_path_factory.mktemp("guided")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{finished.parent}/mlflow.db")
        asked = ("--eval.guidances", "1", GUIDED, "--study", "guided", "--out", folder / "run")
        result = call("run", *SMOKE, *SAMPLER, *KEPT, *asked)
    assert result.code == 0, result.err
    return folder / "run"


@pytest.fixture
def run(made):
    return Path(shutil.copytree(made, "run"))


def scored(folder: Path, guidance: str) -> dict[str, tuple[str, float]]:
    """Hash of the pictures and evaluations, by average, of the final scoring."""
    found = (row for row in rows(folder) if (row["guidance"], row["n"]) == (guidance, "60"))
    return {row["ema"]: (row["images_sha256"], float(row["nfe"])) for row in found}


def test_is_scored_at_two_evaluations_for_all_averages_but_its_own(made):
    plain, guided = scored(made, "cfg:begin=0,end=1,weight=1"), scored(made, CANONICAL)
    assert {average: nfe for average, (_, nfe) in plain.items()} == {"0.9": 2, "snapshot-at10": 2}
    assert {average: nfe for average, (_, nfe) in guided.items()} == {"0.9": 4}
    assert guided["0.9"][0] not in [sha256 for sha256, _ in plain.values()]


def test_the_snapshot_holds_the_weights_of_its_step(made, tmp_path):
    """To the bit but for the sum that moves it there."""
    earlier = call("run", *SMOKE, *SAMPLER, *KEPT, "--until", "10", "--out", tmp_path / "earlier")
    assert earlier.code == 0, earlier.err
    then, now = (
        load_file(max((folder / "checkpoints").glob("*.safetensors")))
        for folder in (tmp_path / "earlier", made)
    )
    names = [name.removeprefix("model.") for name in now if name.startswith("model.")]
    for name in names:
        kept = now[f"ema.snapshot-at10.{name}"]
        torch.testing.assert_close(kept, then[f"model.{name}"], rtol=1e-6, atol=1e-7)
    assert any(not torch.equal(now[f"model.{name}"], then[f"model.{name}"]) for name in names)


def test_the_weaker_velocity_is_that_of_the_weights_it_names(run):
    resolved, training = open_run(read_config(run))
    generator, profiles = make_generator(resolved, lambda: False), training.profiles()
    sampler = SamplerSpec.parse("euler:steps=1")

    def pictures(guidance: str, average: str) -> torch.Tensor:
        spec = GuidanceSpec.parse(guidance)
        generator.load_for(spec, average, profiles, training.step)
        return generator.solved(0, sampler, spec, 0)[0] - generator.noise(range(generator.chunk), 0)

    v, weak, raw = (pictures("1", average) for average in ("0.9", "snapshot-at10", "raw"))
    assert not torch.equal(v, weak)
    torch.testing.assert_close(pictures(GUIDED, "0.9"), 2 * v - weak, rtol=0, atol=1e-5)
    torch.testing.assert_close(pictures("autoguidance:weight=3", "0.9"), 3 * v - 2 * raw, rtol=0, atol=1e-5)


def test_later_scores_and_samples_are_guided_too(run):
    done = call("evaluate", run, "--guidances", "autoguidance:weight=3", "--averages", "warmup:decay=0.9")
    assert (done.code, done.err) == (0, "")
    ((sha256, nfe),) = scored(run, "autoguidance:begin=0,end=1,weak=raw,weight=3").values()
    assert nfe == 4
    again = call("sample", run, "--n", "60", "--out", "x.npz", "--guidance", "autoguidance:weight=3")
    assert again.code == 0, again.err
    import numpy as np

    with np.load("x.npz") as found:
        assert hashlib.sha256(found["arr_0"].transpose(0, 3, 1, 2).tobytes()).hexdigest() == sha256


@pytest.mark.parametrize(
    ("guidance", "says"),
    [
        ("weak=0_5", "got '0_5', expected weights that the run keeps: raw, 0_9, snapshot_at10"),
        ("weak=0_9", "got '0_9', expected other weights than those it guides"),
    ],
)
def test_weights_that_are_not_there_or_its_own_are_refused_before_training(guidance, says, tmp_path):
    asked = ("--eval.guidances", f"autoguidance:weight=2,{guidance}", "--out", tmp_path / "run")
    refused = call("run", *SMOKE, *SAMPLER, *KEPT, *asked)
    assert refused.code == 2
    assert refused.err.startswith(f"error: eval.guidances: autoguidance's option 'weak' {says}")
    assert len(refused.err.splitlines()[0]) <= 207  # error: and 200
    assert not (tmp_path / "run").exists()


def test_nothing_is_done_to_a_run_that_lacks_the_weights(run):
    before = snapshot(run)
    for command in (
        ("evaluate", run, "--guidances"),
        ("sample", run, "--out", "y.npz", "--guidance"),
        ("convergence", run, "--out", "y.csv", "--guidance"),
    ):
        refused = call(*command, "autoguidance:weight=2,weak=power_std0_2")
        assert refused.code == 2
        assert "expected weights that the run keeps: raw, 0_9, snapshot_at10" in refused.err
    refused = call("sample", run, "--out", "y.npz", "--average", "raw", "--guidance", "autoguidance:weight=2")
    assert (refused.code, "other weights than those it guides" in refused.err) == (2, True)
    assert snapshot(run) == before


def test_a_study_without_the_weights_is_refused(tmp_path):
    asked = ("--preset", "smoke", "--variants", "none", "rope2d", "--studies", tmp_path / "studies")
    refused = call("study", *asked, "--eval.guidances", "autoguidance:weight=2,weak=0_5")
    assert refused.code == 2
    assert "expected weights that the run keeps: raw, 0_9 (train.averages)" in refused.err
    assert not (tmp_path / "studies").exists()
