"""What is sampled of one trained network: the same pictures however the work is cut, under every sampler."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from commands import (  # noqa: F401
    SMOKE,
    call,
    copy_fixture,
    finished_fixture,
    rows,
    timeless,
    work_elsewhere,
)
from contract_grids import sampler_options
from safetensors import safe_open
from safetensors.torch import save_file

from experiments.config.run import RunConfig
from experiments.runner.execute import make_scorer
from experiments.runner.reopen import open_run, read_config
from experiments.scoring.extractors.classifier_file import WEIGHTS
from experiments.scoring.extractors.load import load_extractor
from experiments.scoring.generate import Generator
from experiments.scoring.jobs import final_jobs
from rope_dit.errors import Stopped
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.registry import GRIDS, SOLVERS
from rope_dit.samplers.spec import SamplerSpec

CUSTOM = "euler:grid=custom,times=0/0.1/0.2/0.3/0.4/0.5/1"


def all_samplers() -> list[SamplerSpec]:
    """Each solver with few steps, one on each grid."""
    loose = {"dopri5": "dopri5:rtol=0.01,atol=0.01"}
    texts = [loose.get(name, f"{name}:steps=3") for name in SOLVERS.names()]
    texts += [
        f"heun:{','.join(sampler_options(grid.name))}" + ("" if "times" in grid.options else ",steps=3")
        for grid in GRIDS
    ]
    return [SamplerSpec.parse(text) for text in dict.fromkeys(texts)]


def test_a_run_is_scored_under_all_of_them_later(finished):
    run, samplers = Path(shutil.copytree(finished, "run")), all_samplers()
    done = call("evaluate", run, "--n", "50", "--samplers", *map(str, samplers))
    assert (done.code, done.err) == (0, "")
    nfe = {
        row["sampler"]: float(row["nfe"])
        for row in rows(run)
        if (row["n"], row["train_step"], row["metric"]) == ("50", "20", "fd_digits")
    }
    assert {str(sampler) for sampler in samplers} <= nfe.keys()
    for sampler in samplers:
        if sampler.nfe is not None:
            assert nfe[str(sampler)] == sampler.nfe
        else:
            assert nfe[str(sampler)] > 5


def test_a_run_with_times_of_its_own_is_tried_and_scored(tmp_path):
    done = call("run", *SMOKE, "--eval.samplers", CUSTOM, "--eval.n", "60", "--out", tmp_path / "run")
    assert (done.code, done.err) == (0, "")
    assert {float(row["nfe"]) for row in rows(tmp_path / "run") if row["sampler"] != "-"} == {6}


def test_pictures_do_not_depend_on_how_many_are_asked_for(copy):
    sha256 = {row["images_sha256"] for row in rows(copy) if row["n"] == "100" and "heun" in row["sampler"]}
    result = call("run", *SMOKE, "--out", copy, "--eval.n", "60", "100", "--eval.samplers", "heun:steps=2")
    assert result.code == 0, result.err
    other = Path(shutil.copytree(copy, "other"))
    (other / "scores.csv").unlink()
    result = call("run", *SMOKE, "--out", other, "--eval.n", "60", "--eval.samplers", "heun:steps=2")
    assert result.code == 0, result.err

    def pictures(folder: Path, n: str) -> set[str]:
        return {row["images_sha256"] for row in rows(folder) if row["n"] == n and "heun" in row["sampler"]}

    assert pictures(copy, "60") == pictures(other, "60")
    assert pictures(copy, "100") == sha256
    assert len(sha256) == 1


@pytest.fixture(scope="module")
def generator(finished: Path) -> Generator:
    """What samples from the finished run."""
    from experiments.cli.main import StopFlag
    from experiments.runner.execute import make_generator

    resolved, state = open_run(read_config(finished))
    generator = make_generator(resolved, StopFlag())
    generator.load(state.ema.profiles["0.9"], state.step)
    return generator


def test_noise_and_classes_belong_to_the_picture(generator):
    whole, part = generator.noise(range(60), 3), generator.noise(range(31, 47), 3)
    assert torch.equal(whole[31:47], part)
    assert torch.equal(generator.labels(range(60), 3)[31:47], generator.labels(range(31, 47), 3))
    assert not torch.equal(whole, generator.noise(range(60), 4))
    assert not torch.equal(whole[:30], whole[30:])
    assert (generator.labels(range(2000), 0).bincount(minlength=10) > 140).all()


def test_other_chunks_agree_closely(generator, finished):
    spec = SamplerSpec.parse("heun:steps=2")
    pictures = torch.cat([generator.chunk_of(i, spec, GuidanceSpec.parse("cfg"), 0)[0] for i in range(4)])
    generator.chunk = 100
    try:
        at_once, _ = generator.chunk_of(0, spec, GuidanceSpec.parse("cfg"), 0)
    finally:
        generator.chunk = 25
    assert (pictures.int() - at_once.int()).abs().max() <= 1  # of 255: rounding of the last bits
    (sha256,) = {row["images_sha256"] for row in rows(finished) if "heun" in row["sampler"]}
    assert hashlib.sha256(pictures.numpy().tobytes()).hexdigest() == sha256


def test_stale_samples_of_a_killed_scoring_are_used_and_removed(copy):
    config: RunConfig = read_config(copy)
    assert config.eval.chunk == 25
    (copy / "samples").mkdir()
    sha256 = load_extractor("digits", "cpu").sha256[:8]
    (copy / f"samples/00000020-rk4-1-cfg1-seed0-{sha256}-25-00000.safetensors").write_bytes(b"torn")
    result = call("run", *SMOKE, "--out", copy, "--eval.samplers", "rk4:steps=1")
    assert result.code == 0, result.err
    assert not (copy / "samples").exists()


@pytest.mark.parametrize(
    "change",
    [("--eval.chunk", "50"), pytest.param(("--eval.extractor", "mine.safetensors"), marks=pytest.mark.slow)],
)
def test_a_killed_sampling_goes_on_only_with_chunks_of_its_own(copy, change):
    with safe_open(WEIGHTS / "digits.safetensors", "pt") as file:
        tensors = {key: file.get_tensor(key) * (1 + key.startswith("head")) for key in file.keys()}
        save_file(tensors, "mine.safetensors", file.metadata())
    shutil.copytree(copy, "undisturbed")
    config = read_config(copy)
    config = replace(config, eval=replace(config.eval, samplers=("rk4:steps=1",)))
    resolved, state = open_run(config)
    scorer = make_scorer(resolved, lambda: any(copy.glob("samples/*")))
    with pytest.raises(Stopped):
        scorer.score(state.step, final_jobs(config), state.profiles())
    assert len(list(copy.glob("samples/*"))) == 1
    for folder in (copy, Path("undisturbed")):
        done = call("run", *SMOKE, "--out", folder, "--eval.samplers", "rk4:steps=1", *change)
        assert done.code == 0, done.err
    assert timeless(copy) == timeless(Path("undisturbed"))
