"""Pictures of other grids of tokens than the trained one, as rows of a run and of a study."""

import contextlib
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import (  # noqa: F401  fixtures
    QUICK,
    call,
    finished_fixture,
    rows,
    snapshot,
    work_elsewhere,
)
from PIL import Image
from studies import QUICK as QUICK_STUDY
from studies import call_study, made_study

from analysis.page.provenance import score_groups
from analysis.study import load_study
from experiments.config.presets import PRESETS
from experiments.config.run import EvalConfig
from experiments.records.score import larger_name
from experiments.runner.execute import make_generator
from experiments.runner.reopen import Pictures, open_run, read_config
from experiments.scoring.jobs import ANY_GRID, extrapolations, left_out
from rope_dit.config import ModelConfig
from rope_dit.errors import UserError
from rope_dit.model import DiT
from rope_dit.pos_embed.base import Geometry
from rope_dit.pos_embed.larger import why_not
from rope_dit.registry import EXTRAPOLATIONS, POS_EMBEDS

YARN = EXTRAPOLATIONS.canonical("yarn")
GRIDS = ("--token-grids", "12x12", "8x16", "--extrapolations", "none", "yarn")


def made(*args: str, out: str = "run") -> str:
    result = call("run", *QUICK, "--out", out, *args)
    assert result.code == 0, result.err
    return str(result.out)


def larger(folder: Path) -> list[dict[str, str]]:
    return [row for row in rows(folder) if row["tokens"] != "trained"]


def test_each_grid_and_form_has_its_rows_and_its_pictures():
    made(*GRIDS)
    found = larger(Path("run"))
    jobs = [("12x12", "none"), ("12x12", YARN), ("8x16", "none"), ("8x16", YARN)]
    names = {row["metric"] for row in rows(Path("run")) if row["tokens"] == "trained"}
    assert [(row["tokens"], row["extrapolation"]) for row in found] == [job for job in jobs for _ in names]
    assert {row["metric"] for row in found} == names
    for row in found:
        assert {row[end] for end in ("real_floor", "untrained", "held_out", "held_out_floor")} == {"-"}
        assert (row["n"], row["sampling_seed"], row["sampler"]) == ("10", "0", "euler:grid=uniform,steps=1")
    sides = []
    for job in jobs:
        with Image.open(f"run/pictures/00000020-euler-1-cfg1{larger_name(*job)}-seed0.png") as picture:
            sides.append(picture.size)
    assert sides[0] == sides[1] != sides[2] == sides[3]
    before = snapshot(Path("run"))
    assert "nothing to do" in made(*GRIDS, out=str(Path("run").absolute()))
    assert snapshot(Path("run")) == before


def test_the_pictures_are_those_that_sample_writes_in_that_size():
    said = made(*GRIDS)
    for tokens, size in (("12x12", "24x24"), ("8x16", "16x32")):
        for form in ("none", "yarn"):
            out = f"{tokens}{form}.npz"
            call("sample", "run", "--n", "10", "--size", size, "--extrapolation", form, "--out", out)
            pictures = np.ascontiguousarray(np.load(out)["arr_0"].transpose(0, 3, 1, 2)[:, :1])
            wanted = hashlib.sha256(pictures.tobytes()).hexdigest()
            job = (tokens, EXTRAPOLATIONS.canonical(form))
            where = [row for row in larger(Path("run")) if (row["tokens"], row["extrapolation"]) == job]
            assert {row["images_sha256"] for row in where} == {wanted}
    [line] = [line for line in said.splitlines() if line.startswith("12x12 tokens, n 10: ")]
    assert "fd_digits " in line
    assert "seam " in line


def test_an_old_run_gets_them_by_evaluate_and_what_has_no_meaning_for_it_is_named(monkeypatch):
    made("--variant", "learned")
    before = rows(Path("run"))
    result = call("evaluate", "run", "--token-grids", "12x12", "--extrapolations", "all")
    assert (result.code, result.err) == (0, "")
    [line] = [line for line in result.out.splitlines() if "left out" in line]
    assert line.startswith(
        "learned:std=0.02: left out on 12x12 tokens: ntk:axes=separate, pi:axes=separate and "
    )
    assert rows(Path("run"))[: len(before)] == before
    assert [row["extrapolation"] for row in larger(Path("run"))] == ["none"] * 6 + [
        "attention_scale+none"
    ] * 6
    again = call("evaluate", "run", "--token-grids", "12x12", "--extrapolations", "all")
    assert "nothing to do" in again.out


def test_a_study_in_which_an_arm_cannot_is_whole_and_one_of_before_stays_as_it_was():
    args = ("smoke", *QUICK_STUDY, "--variants", "rope2d", "learned", "--seeds", "1", "--name", "s")
    here, runs = Path(), Path("studies/s/runs")
    made_study(here, *args)
    before = snapshot(runs)
    made_study(here, *args)
    assert snapshot(runs) == before
    names = {row["metric"] for row in rows(runs / "learned-s0")}
    grown = made_study(here, *asked(args, "held_out_loss"), *GRIDS[:2], *GRIDS[3:])
    assert grown.err == ""
    for label in ("rope2d", "learned"):
        assert len([row for row in rows(runs / f"{label}-s0") if row["sampler"] == "-"]) == 11
    page = score_groups(load_study("s", "sqlite:///mlflow.db")).set_index(["tokens", "extrapolation"])
    assert page.loc[("12x12", YARN), "differs"].unique().tolist() == [
        "grid of tokens and extrapolation",
        "extractor, extractor's weights, number of reference pictures, grid of tokens and extrapolation",
    ]
    counts = {label: len(larger(runs / f"{label}-s0")) for label in ("rope2d", "learned")}
    assert counts == {"rope2d": 2 * len(names), "learned": len(names)}
    said = "learned: left out on 12x12 tokens: yarn:alpha=1"
    assert said in grown.out
    before = snapshot(runs)
    made_study(here, *args)
    assert snapshot(runs) == before
    for weights in runs.glob("*/checkpoints/*.safetensors"):
        weights.unlink()
    made_study(here, *args)
    refused = call_study(*asked(args, "attention"))
    assert refused.code == 2
    assert "learned-s0: probe attention, 0.9" in refused.err


def asked(args: tuple[str, ...], probe: str) -> list[str]:
    """What is asked of a study, with this probe instead of none."""
    return [probe if word == "none" else word for word in args]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--token-grids", "12"), "eval.token-grids got '12', expected ROWSxCOLUMNS in tokens"),
        (("--token-grids", "0x12"), "expected ROWSxCOLUMNS"),
        (("--token-grids", "4x4"), "got '4x4', expected other grids than the trained one, 4x4"),
        (("--token-grids", "2x4", "--extrapolations", "pi"), "the grid 2x4 has no side beyond those of"),
        (("--extrapolations", "pi"), "expected eval.token-grids too"),
        (("--token-grids", "8x8", "--extrapolations", "all", "pi"), "expected all alone"),
        (("--token-grids", "8x8", "8x8"), "expected each once"),
        (("--token-grids", "8x8", "--extrapolations", "dype"), "dype fades another one"),
        (("--token-grids", "8x8", "--extrapolations", "yarm"), "Did you mean 'yarn'?"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(args, words):
    result = call("run", *QUICK, "--out", "run", *args)
    assert result.code == 2
    assert words in result.err
    assert not Path("run").exists()


def test_pictures_are_resized_by_area(finished):
    config = read_config(finished, Pictures())
    generator = make_generator(open_run(config)[0], lambda: False)
    side = generator.shape[1]
    large = torch.arange(4 * side * side).remainder(200).view(1, 1, 2 * side, 2 * side).to(torch.uint8)
    blocks = large.double().unflatten(3, (side, 2)).unflatten(2, (side, 2)).mean((3, 5))
    assert torch.equal(generator.at_trained_size(large), blocks.round().to(torch.uint8))
    same = torch.full((1, 1, side + 3, side + 5), 77, dtype=torch.uint8)
    assert torch.equal(generator.at_trained_size(same), same[..., :side, :side])
    own = large[..., :side, :side]
    assert generator.at_trained_size(own) is own


def test_a_generator_goes_back_to_the_trained_size(finished):
    config = read_config(finished, Pictures())
    resolved, training = open_run(config)
    generator, sampler, guidance = (
        make_generator(resolved, lambda: False), config.eval.sampler_specs[0], config.eval.guidance_specs[0]
    )  # fmt: skip
    generator.load(training.profiles()[config.main_average], training.step)
    before, _ = generator.chunk_of(0, sampler, guidance, 0)
    generator.take_tokens("6x5", YARN)
    middle, _ = generator.chunk_of(0, sampler, guidance, 0)
    generator.take_tokens("trained", "none")
    after, _ = generator.chunk_of(0, sampler, guidance, 0)
    assert middle.shape[2:] == (12, 10)
    assert torch.equal(before, after)


@pytest.mark.parametrize("variant", POS_EMBEDS.names())
@pytest.mark.parametrize("positions", ["index", "normalized"])
def test_what_is_said_of_a_variant_alone_is_what_its_model_says(variant, positions):
    config = ModelConfig(dim=32, depth=1, num_heads=2, patch=1, positions=positions)
    try:
        dit = DiT(config, variant, channels=1, image_size=(3, 4), num_classes=2, null_class=False)
    except UserError:
        pytest.skip("does not go with these positions")
    for spec in extrapolations(EvalConfig(token_grids=("8x8",), extrapolations=("all",))):
        said = why_not(variant, Geometry(32, 2, 16, 1, ANY_GRID, positions), spec)
        with pytest.raises(UserError, match=f"^{re.escape(said)}$") if said else contextlib.nullcontext():
            dit.set_extrapolation(spec)


def test_nothing_is_asked_of_a_variant_where_there_are_no_other_grids():
    assert left_out(PRESETS["smoke"]) == {}
