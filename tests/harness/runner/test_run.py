"""The smoke run end to end: what it prints and leaves behind, here and elsewhere, and with other settings."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from commands import (  # noqa: F401
    QUICK,
    SMOKE,
    call,
    copy_fixture,
    finished_fixture,
    rows,
    snapshot,
    timeless,
    work_elsewhere,
)
from PIL import Image

from experiments.config.measures import measures_on
from experiments.runner.reopen import read_config
from experiments.scoring.apart.sample_grid import COLUMNS, GAP, MIN_SIDE, ROWS
from experiments.scoring.metrics import value_name
from rope_dit.registry import POS_EMBEDS, SOLVERS
from rope_dit.samplers.spec import SamplerSpec

PLAIN = "cfg:begin=0,end=1,weight=1"
VALUES = {value_name(value, one.seen_by("digits")) for value, one in measures_on("digits").items()}
# (train_step, sampler, n) of the smoke preset: two curve points, then both samplers
DECLARED = [
    ("10", "euler-4", "50"),
    ("20", "euler-4", "50"),
    ("20", "euler-4", "100"),
    ("20", "heun-2", "100"),
]


def test_as_a_process_from_start_to_table(finished):
    words = [sys.executable, "-m", "experiments.run", *SMOKE]
    done = subprocess.run(words, capture_output=True, timeout=280)
    assert (done.returncode, done.stderr) == (0, b"")
    out = done.stdout.decode()
    assert re.fullmatch(r"[\n\x20-\x7e]*", out), "a bar or an escape where stdout is no terminal"
    begins = r"rope2d:theta=100, seed 0, on .*(cpu|GPU|NVIDIA).*, (fp32|bf16): runs/rope2d-s0-\w{8}\n"
    assert re.match(begins, out), "which arm, on which device, where to"
    assert re.search(r"^fd_digits +[\d.]+ +lower +[\d.]+ +100 +4 +heun:grid=uniform,steps=2$", out, re.M)
    assert re.search(r"^training: \d+ pictures/s", out, re.M)
    assert re.search(r"^MLflow: +run [0-9a-f]{32} in experiment rope-dit$", out, re.M)
    (folder,) = Path("runs").iterdir()
    assert re.fullmatch(r"rope2d-s0-[0-9a-f]{8}", folder.name)
    assert sorted(p.name for p in Path.cwd().iterdir()) == ["runs"]
    # another process, another folder, after another run: the same bits
    assert timeless(folder) == timeless(finished)
    assert checkpoints(folder) == checkpoints(finished)


def checkpoints(folder: Path) -> list[str]:
    """Names of the checkpoints, which hold the SHA-256 of what is in them."""
    return sorted(p.name for p in (folder / "checkpoints").iterdir())


def test_scores_are_what_the_preset_declares(finished):
    found = [row for row in rows(finished) if row["sampler"] != "-"]
    keys = [
        (row["train_step"], SamplerSpec.parse(row["sampler"]).slug, row["n"], row["metric"]) for row in found
    ]
    assert sorted(keys) == sorted((*job, value) for job in DECLARED for value in VALUES)
    for row in found:
        assert (row["arm"], row["seed"], row["guidance"]) == ("rope2d:theta=100", "0", PLAIN)
        against = ("-", "360") if row["metric"] == "seam" else ("digits", "1437")
        assert (row["ema"], row["extractor"], row["n_real"]) == ("0.9", *against)
        assert row["classes"] == "proportional"
        assert float(row["value"]) == float(row["value"])  # no NaN
        assert float(row["nfe"]) == 4


def test_grids_of_pictures_hold_a_row_a_class(finished):
    files = sorted((finished / "pictures").iterdir())
    names = ["00000010-euler-4", "00000020-euler-4", "00000020-heun-2"]
    assert [file.name for file in files] == [f"{name}-cfg1-seed0.png" for name in names]
    side = MIN_SIDE // 8 * 8 + GAP  # digits are 8 pixels wide
    with Image.open(files[-1]) as image:
        assert image.format == "PNG"
        assert image.mode == "L"
        assert image.size == (COLUMNS * side + GAP, ROWS * side + GAP)
        assert len(set(image.tobytes())) > 50


def test_nothing_half_done_is_left(finished):
    assert {p.name for p in finished.iterdir()} == {
        "checkpoints",
        "config.json",
        "ending.json",
        "lock",
        "metrics.jsonl",
        "owner",
        "pictures",
        "probes",
        "scores.csv",
    }
    steps = [json.loads(line)["step"] for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert steps == [5, 10, 15, 20]


def test_a_finished_run_says_so_and_does_nothing(copy):
    before = snapshot(copy)
    result = call("run", *SMOKE, "--out", copy)
    assert result.code == 0, result.err
    assert f"{copy} is finished; nothing to do." in result.out
    assert "fd_digits" in result.out
    assert snapshot(copy) == before


def test_other_eval_settings_score_only_what_is_missing(copy):
    before, weights = rows(copy), snapshot(copy / "checkpoints")
    result = call("run", *SMOKE, "--out", copy, "--eval.samplers", "euler:steps=4", "rk4:steps=1")
    assert result.code == 0, result.err
    assert rows(copy)[: len(before)] == before
    added = rows(copy)[len(before) :]
    assert {row["metric"] for row in added} == VALUES
    assert {row["sampler"] for row in added} == {"rk4:grid=uniform,steps=1"}
    assert len(added) == len(VALUES)
    assert snapshot(copy / "checkpoints") == weights


def test_dry_run_tells_and_writes_nothing(tmp_path):
    result = call("run", *SMOKE, "--dry-run", "--variant", "learned+rope2d", "--eval.guidances", "1", "3")
    assert result.code == 0, result.err
    assert not list(tmp_path.iterdir())
    told = dict(line.split(None, 1) for line in result.out.splitlines() if "." in line.split()[0])
    assert told["train.precision"] == "fp32"  # as resolved, not `auto`
    assert told["eval.samplers"] == "euler:grid=uniform,steps=4 heun:grid=uniform,steps=2"
    parameters = re.search(r"^parameters +([\d,]+), of the variant ([\d,]+)$", result.out, re.M)
    assert parameters is not None
    without = re.search(
        r"^parameters +([\d,]+)", call("run", *SMOKE, "--dry-run", "--variant", "none").out, re.M
    )
    assert without is not None
    total, own, rest = (int(text.replace(",", "")) for text in (*parameters.groups(), without[1]))
    assert own == 16 * 16  # 4 x 4 patches of width 16
    assert total == rest + own
    assert re.search(r"^FLOPs a picture +[\d.]+ M forward, [\d.]+ M a training step$", result.out, re.M)
    assert re.search(r"^estimated time +[\d.]+ min training, [\d.]+ min sampling$", result.out, re.M)
    assert "1437 train, 360 held out, 1x8x8, 10 classes" in result.out
    assert re.search(r"^run folder +runs/learned.rope2d-s0-[0-9a-f]{8}$", result.out, re.M)


VARIANTS = sorted({*POS_EMBEDS.names(), "learned+rope2d", "sincos2d+rope1d"})
OTHERS = {
    "unconditional": ("--model.no-conditional",),
    "no null class": ("--train.label-dropout", "0"),
    "swiglu rmsnorm qk-norm": ("--model.mlp", "swiglu", "--model.norm", "rmsnorm", "--model.qk-norm"),
    "shared adaLN": ("--model.adaln", "shared"),
    "uniform times, constant rate, flips": (
        *("--train.density", "uniform", "--train.schedule", "constant", "--train.flip"),
        *("--train.weight-decay", "0.1"),
    ),
    "bf16": ("--train.precision", "bf16"),
    "no warm-up": ("--train.warmup-steps", "0"),
    "two sampling seeds": ("--eval.sampling-seeds", "2"),
}


ONE_OF_EACH_HOOK = ("learned+rope2d", "relative_bias")


@pytest.mark.parametrize(
    "variant",
    [pytest.param(v, marks=() if v in ONE_OF_EACH_HOOK else pytest.mark.slow) for v in VARIANTS],
)
def test_every_variant_runs(variant):
    result = call("run", *QUICK, "--variant", variant, "--out", "run")
    assert (result.code, result.err) == (0, "")
    assert {row["arm"] for row in rows(Path("run"))} == {POS_EMBEDS.canonical(variant)}
    assert {row["metric"] for row in rows(Path("run"))} == VALUES


QUICK_ONES = ("unconditional", "bf16", "two sampling seeds")


@pytest.mark.parametrize(
    "settings",
    [pytest.param(s, id=n, marks=() if n in QUICK_ONES else pytest.mark.slow) for n, s in OTHERS.items()],
)
def test_other_settings_run(settings):
    result = call("run", *QUICK, *settings, "--out", "run")
    assert (result.code, result.err) == (0, "")
    assert {row["metric"] for row in rows(Path("run"))} == VALUES


def test_pictures_of_a_folder_in_one_class():
    Path("mine").mkdir()
    for i in range(200):
        pixels = bytes((x * i + y * 7) % 256 for y in range(8) for x in range(8))
        Image.frombytes("L", (8, 8), pixels).save(f"mine/{i:03d}.png")
    result = call("run", *QUICK, "--data", "folder:mine", "--out", "run")
    assert result.code == 0, result.err
    assert {(row["extractor"], row["n_real"]) for row in rows(Path("run"))} == {
        ("digits", "180"),
        ("-", "20"),
    }


def test_evaluations_are_those_declared_and_guidance_doubles_them(copy):
    fixed = [f"{name}:steps=2" for name in SOLVERS.names() if SamplerSpec.parse(name).nfe]
    adaptive = [name for name in SOLVERS.names() if SOLVERS[name].claims.get("adaptive")]
    assert len(fixed) >= 4
    assert len(fixed) + len(adaptive) == len(SOLVERS.names())
    wanted = ("--eval.n", "10", "--eval.guidances", "1", "2", "0", "--eval.samplers", *fixed, *adaptive)
    result = call("run", *SMOKE, "--out", copy, *wanted)
    assert result.code == 0, result.err
    nfe = {(row["sampler"], row["guidance"]): float(row["nfe"]) for row in rows(copy) if row["n"] == "10"}
    guidances = [PLAIN, "cfg:begin=0,end=1,weight=2", "cfg:begin=0,end=1,weight=0"]
    for text in fixed:
        spec = SamplerSpec.parse(text)
        assert [nfe[str(spec), guidance] for guidance in guidances] == [spec.nfe, 2 * spec.nfe, 2 * spec.nfe]
    for text in adaptive:
        plain, guided, without = (nfe[str(SamplerSpec.parse(text)), guidance] for guidance in guidances)
        assert plain >= 8  # two steps of seven, at least
        assert guided % 2 == without % 2 == 0


def test_guidance_outside_its_interval_costs_nothing(copy):
    guidance = "cfg:weight=3,begin=0.4,end=0.6"
    wanted = ("--eval.n", "10", "--eval.guidances", guidance, "--eval.samplers", "euler:steps=4")
    result = call("run", *SMOKE, "--out", copy, *wanted)
    assert result.code == 0, result.err
    (row, *_) = [row for row in rows(copy) if row["n"] == "10"]
    assert row["guidance"] == "cfg:begin=0.4,end=0.6,weight=3"
    assert float(row["nfe"]) == 5  # t = 0, 1/4, 1/2, 3/4, of which one is guided


@pytest.mark.slow
def test_a_damaged_checkpoint_costs_one_warning(finished, tmp_path):
    """A process of its own, for pytest takes the log."""
    words = [sys.executable, "-m", "experiments.run", *QUICK, "--out", "run", "--train.save-seconds", "0"]
    made = call("run", *words[3:])
    assert made.code == 0, made.err
    before = rows(Path("run"))
    newest = sorted(Path("run/checkpoints").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:-1] + b"x")
    done = subprocess.run(words, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"warning: checkpoint run/checkpoints/{newest.name} is damaged")
    assert rows(Path("run")) == before
    assert newest.name in checkpoints(Path("run"))  # made again, of the same bits


def test_configs_of_a_finished_run_come_back(finished):
    config = read_config(finished)
    assert config == replace(config, out=finished, device="cpu", dry_run=False)
    assert config.train.threads == 1
