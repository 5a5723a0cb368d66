"""Mistakes on the command line: exit code 2, one line that helps, and nothing written."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from harness import SMOKE, Result, call, finished_run, snapshot
from PIL import Image

from experiments.arguments import arguments
from experiments.config import RunConfig
from experiments.runfolder import RunFolder

BOOM = """
from rope_dit.registry import POS_EMBEDS
from rope_dit.pos_embed.base import PosEmbed
import no_such_package

@POS_EMBEDS.register("boom")
class Boom(PosEmbed):
    "Cannot be imported."
"""
SNAP = """
from rope_dit.registry import POS_EMBEDS
from rope_dit.pos_embed.base import PosEmbed

@POS_EMBEDS.register("snap")
class Snap(PosEmbed):
    "Cannot be built."

    def __init__(self, geometry):
        raise KeyError("snap")
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that can be named wrongly in it; no test changes it."""
    finished, desk = finished_run(tmp_path_factory), tmp_path_factory.mktemp("desk")
    for name in ("run", "unfinished", "damaged", "torn", "foreign", "alien", "plugged"):
        shutil.copytree(finished, desk / name)
    shutil.rmtree(desk / "unfinished/checkpoints")
    for file in (desk / "damaged/checkpoints").iterdir():
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    (desk / "torn/config.json").write_text("{")
    (desk / "foreign/config.json").write_text("[1, 2]")
    info = json.loads((finished / "config.json").read_text())
    (desk / "alien/config.json").write_text(json.dumps(info | {"config": {"wings": 2}}))
    (desk / "plugged/config.json").write_text(
        json.dumps(info | {"config": info["config"] | {"plugins": "own"}})
    )
    (desk / "file").write_text("x")
    (desk / "garbage.safetensors").write_bytes(b"garbage")
    for name, text in (("syntax", "def (:\n"), ("boom", BOOM), ("snap", SNAP)):
        (desk / name).mkdir()
        (desk / name / f"{name}.py").write_text(text)
    (desk / "empty").mkdir()
    for i in range(6):
        (desk / f"few/{i % 2}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), i, np.uint8)).save(desk / f"few/{i % 2}/{i}.png")
    return desk


@pytest.fixture(autouse=True)
def _at_the_desk(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)


def refused(command: str, *args: str) -> list[str]:
    """Call, hold the answer to the contract, and return the lines of stderr."""
    before = snapshot(Path("."))
    result = call(command, *args)
    assert snapshot(Path(".")) == before, "something was written"
    return contract(result)


def contract(result: Result) -> list[str]:
    assert result.code == 2, result
    assert result.out == ""
    first, *rest = result.err.splitlines()
    assert first.startswith("error: "), first
    assert len(first) <= 200, len(first)
    assert first.isprintable()
    assert "Traceback" not in result.err
    assert all(line.startswith("  ") for line in rest)
    assert len(rest) <= 20
    return [first, *rest]


def numeric() -> list[tuple[str, type, int]]:
    """Options that take numbers: name, type, how many values it needs."""
    return [(a.names[0], a.type, a.least) for a in arguments(RunConfig) if a.type in (int, float)]


NOT_A_NUMBER = ["abc", "", "nan", "inf", "-inf", "1_0", "\uff11\uff10", "0x10"]


@pytest.mark.parametrize("text", [*NOT_A_NUMBER, "-1"])
@pytest.mark.parametrize(("name", "kind", "count"), numeric(), ids=[name for name, _, _ in numeric()])
def test_numbers_that_are_none_or_negative(name, kind, count, text):
    (first, *_) = refused("run", *SMOKE[:2], f"{name}={text}", *[text] * (count - 1))
    assert name.removeprefix("--") in first, first


@pytest.mark.parametrize("text", ["1.5", "1e3", "99999999999999999999", "9" * 500])
@pytest.mark.parametrize("name", [name for name, kind, _ in numeric() if kind is int])
def test_whole_numbers_that_are_none_or_too_long(name, text):
    assert f"{name} got '{text[:9]}" in refused("run", *SMOKE[:2], name, text)[0]


@pytest.mark.parametrize("name", [name for name, kind, _ in numeric() if kind is float])
def test_numbers_that_no_float_holds(name):
    count = 2 if "interval" in name else 1
    assert name.removeprefix("--") in refused("run", *SMOKE[:2], name, *["1e999"] * count)[0]


AT_LEAST_ONE = [
    "model.dim",
    "model.depth",
    "model.num-heads",
    "model.patch",
    "model.mlp-ratio",
    "train.steps",
]
AT_LEAST_ONE += ["train.batch", "train.lr", "train.clip", "train.log-every", "data.held-out", "eval.n"]
AT_LEAST_ONE += ["eval.every-n", "eval.chunk", "eval.sampling-seeds"]


@pytest.mark.parametrize("name", AT_LEAST_ONE)
def test_zero_where_it_means_nothing(name):
    assert f"{name} got 0" in refused("run", *SMOKE, f"--{name}", "0")[0]


HUGE = ["model.dim", "model.depth", "model.num-heads", "model.patch", "train.steps", "train.batch"]
HUGE += ["train.warmup-steps", "eval.n", "eval.every-n", "eval.chunk", "eval.sampling-seeds"]
HUGE += ["data.image-size", "eval.every"]


@pytest.mark.parametrize("name", HUGE)
def test_numbers_that_would_fill_the_memory(name):
    assert f"{name} got 99999999999999999" in refused("run", *SMOKE, f"--{name}", "9" * 17 + "8")[0]


# command line of experiments.run, after `--preset smoke --train.threads 1`; what the first line must say
RUN = [
    ("--bogus", "unknown option '--bogus'. --help"),
    ("--train.lrr 1", "Did you mean '--train.lr'?"),
    ("--lr 1", "Did you mean '--train.lr'?"),
    ("--lr=1", "unknown option '--lr'. Did you mean '--train.lr'?"),
    ("--varient rope2d", "Did you mean '--variant'?"),
    ("--eval.sampler euler", "Did you mean '--eval.samplers'?"),
    ("--samplers euler", "Did you mean '--eval.samplers'?"),
    ("--batchsize 3", "Did you mean '--train.batch'?"),
    ("--no-dry-runn", "Did you mean '--no-dry-run'?"),
    ("--data.name digits", "unknown option '--data.name'"),
    ("-x", "unknown option '-x'"),
    ("--", "unknown option '--'"),
    ("rope2d", "got 'rope2d', expected an option such as --variant"),
    ("--seed 1 2", "got '2', expected an option"),
    ("--train.lr", "--train.lr got no value, expected a number"),
    ("--train.lr --seed 1", "--train.lr got no value"),
    ("--variant", "--variant got no value"),
    ("--variant=", "--variant got '', expected a text"),
    ("--study ''", "--study got ''"),
    ("--out ''", "--out got '', expected a path"),
    ("--data ''", "--data got ''"),
    ("--device gpu", "expected one of auto, cuda, mps, cpu. Did you mean 'cpu'?"),
    ("--train.schedule cosin", "got 'cosin', expected one of constant, cosine. Did you mean 'cosine'?"),
    ("--train.schedule", "--train.schedule got no value, expected one of constant, cosine"),
    ("--model.norm batchnorm", "expected one of layernorm, rmsnorm"),
    ("--train.compile maybe", "expected one of auto, off, on, graphs"),
    ("--dry-run True", "--dry-run takes no value, got 'True'; write --dry-run or --no-dry-run"),
    ("--model.conditional=False", "write --model.conditional or --model.no-conditional"),
    ("--seed 1 --seed 2", "--seed is given twice"),
    ("--dry-run --no-dry-run", "--dry-run is given twice"),
    ("--train.lr 1 --train_lr 2", "unknown option '--train_lr'. Did you mean '--train.lr'?"),
    ("--eval.guidance-interval 0.5", "got 1 value, expected 2 times a number"),
    ("--eval.guidance-interval 0.5 0.2", "two rising times from 0 to 1"),
    ("--eval.guidance-interval 0 1.5", "two rising times from 0 to 1"),
    ("--eval.guidance-interval 0.1 0.2 0.3", "got '0.3', expected an option"),
    ("--eval.samplers", "--eval.samplers got no value"),
    ("--eval.n", "--eval.n got no value, expected a whole number"),
    ("--eval.guidances", "--eval.guidances got no value"),
    ("--preset smok", "unknown preset 'smok'"),
    ("--preset=", "unknown preset ''"),
    ("--list variant", "Did you mean 'variants'?"),
    ("--list nonsense", "expected one of variants, samplers, grids, datasets, metrics"),
    ("--list=", "--list got ''"),
    ("--study a/b", "study got 'a/b', expected 1 to 80 of A-Z a-z 0-9 . _ -"),
    ("--study .hidden", "study got '.hidden'"),
    (f"--study {'s' * 81}", "study got 'sss"),
    # specs
    ("--variant rope2dd", "unknown variant 'rope2dd'. Did you mean 'rope2d'?"),
    ("--variant rope2d+", "variant got 'rope2d+', expected names joined by '+'"),
    ("--variant +rope2d", "variant got '+rope2d'"),
    ("--variant ' '", "variant got ' '"),
    ("--variant rope2d:", "expected key=value"),
    ("--variant rope2d:theta", "got 'theta', expected key=value"),
    ("--variant rope2d:theta=", "got 'theta=', expected key=value"),
    ("--variant rope2d:theta=nan", "option 'theta' got 'nan', expected a finite number (default 100)"),
    ("--variant rope2d:theta=1e999", "option 'theta' got '1e999', expected a finite number"),
    ("--variant rope2d:theta=1_0", "option 'theta' got '1_0'"),
    ("--variant rope2d:theta=0", "option 'theta' got 0"),
    ("--variant rope2d:theta=1,theta=2", "'theta' is given twice"),
    ("--variant rope2d:thta=3", "unknown option 'thta'; its options are: theta. Did you mean 'theta'?"),
    ("--variant none:theta=3", "its options are: none"),
    ("--variant rope1d+rope2d", "rotate queries and keys once"),
    ("--variant ../rope2d", "expected letters, digits and '_'"),
    (f"--variant {'x' * 900}", "unknown variant 'xxx"),
    (f"--variant {'x' * 5000}", "of 5000 characters, expected at most 1000"),
    ("--variant 'rope2d\n'", r"got 'rope2d\n', expected text without control characters"),
    ("--out 'a\0b'", r"got 'a\x00b', expected text without control characters"),
    ("--out 'a\x1b[2J'", "expected text without control characters"),
    ("--eval.samplers eulr", "unknown sampler 'eulr'. Did you mean 'euler'?"),
    ("--eval.samplers heun+euler", "expected one solver"),
    ("--eval.samplers heun:steps=0", "option 'steps' got 0"),
    ("--eval.samplers heun:steps=1000000", "option 'steps' got 1000000"),
    ("--eval.samplers heun:stps=3", "Did you mean 'steps'?"),
    ("--eval.samplers heun:grid=shift", "unknown grid 'shift'. Did you mean 'shifted'?"),
    ("--eval.samplers heun:shift=3", "unknown option 'shift'"),
    ("--eval.samplers heun:grid=shifted,shift=0", "option 'shift' got 0"),
    ("--eval.samplers dopri5:steps=4", "chooses its own times"),
    ("--eval.samplers dopri5:rtol=0", "option 'rtol' got 0"),
    # what does not fit together
    ("--model.dim 15", "model.num-heads got 2, expected a divisor of model.dim (15)"),
    ("--model.dim 6 --model.num-heads 1", "rope2d needs a head width divisible by 4"),
    ("--model.dim 6 --variant rope1d", "rope1d needs an even head width"),
    ("--model.dim 17 --model.num-heads 1", "model.dim got 17, expected an even number"),
    ("--model.patch 3", "model.patch got 3, expected a divisor of the image's sides (8 x 8)"),
    ("--model.mlp-ratio 1e308", "model.mlp-ratio got 1e+308"),
    ("--train.warmup-steps 21", "train.warmup-steps got 21, expected at most train.steps (20)"),
    ("--train.batch 1438", "train.batch got 1438, expected at most the 1437 training pictures"),
    ("--train.ema-decay 1", "train.ema-decay got 1.0, expected a number from 0 to below 1"),
    ("--train.label-dropout 1", "train.label-dropout got 1.0"),
    ("--train.lr 1e30", "train.lr got 1e+30, expected at most 1,000"),
    ("--seed 9223372036854775808", "--seed got '9223372036854775808'"),
    ("--eval.guidances 2 --model.no-conditional", "no null class"),
    ("--eval.guidances 1 2 --train.label-dropout 0", "no null class"),
    ("--eval.guidances 0 --model.no-conditional", "no null class"),
    ("--eval.guidances 1e4", "a weight from 0 to 1000"),
    ("--eval.guidances 1.00000001", "with at most 6 digits"),
    ("--eval.n 9", "eval.n got 9, expected 10 to"),
    ("--eval.n 100 9", "eval.n got 9, expected 10 to"),
    ("--eval.every-n 9", "eval.every-n got 9, expected 10 to"),
    # extractors
    ("--eval.extractor cifar10", "extractor cifar10 wants pictures of 3x32x32; got 1x8x8"),
    ("--eval.extractor inceptionn", "expected inception, digits, cifar10 or a .safetensors file"),
    ("--eval.extractor missing.safetensors", "missing.safetensors: No such file"),
    ("--eval.extractor garbage.safetensors", "garbage.safetensors is damaged or no extractor"),
    ("--eval.inception-weights file", "is for extractor inception"),
    ("--eval.extractor inception --eval.inception-weights missing", "weights file missing: No such file"),
    ("--eval.extractor inception --eval.inception-weights file", "does not hold torch-fidelity's"),
    # data
    ("--data digit", "unknown dataset 'digit'. Did you mean 'digits'?"),
    ("--data digits:3", "takes nothing after ':'"),
    ("--data folder", "expected folder:PATH"),
    ("--data folder:", "--data got 'folder:'"),
    ("--data folder:missing", "folder missing: No such file"),
    ("--data folder:file", "folder file: Not a directory"),
    ("--data folder:file/below", "Not a directory"),
    ("--data folder:empty", "holds no pictures"),
    ("--data folder:few --train.batch 1", "at least 20, which the metrics need"),
    ("--data.held-out 0.2", "data.held-out got 0.2"),
    ("--data.held-out 1", "data.held-out got 1.0"),
    # folders
    ("--out run --seed 1", "run holds another run; choose another --out. They differ in:"),
    ("--out file", "file is no folder that can be written"),
    ("--out file/below", "file is no folder that can be written"),
    ("--runs file", "file is no folder that can be written"),
    ("--runs file/below/deep", "file is no folder that can be written"),
    ("--out empty/../file/../x", "file is no folder that can be written"),
    (f"--out 'file/{'a b/' * 150}'", "choose another --runs or --out"),
    ("--out /proc/none/below", "choose another --runs or --out"),
    ("--out few", "few holds files but no run"),
    (f"--out {'y' * 300}", "File name too long"),
    (f"--runs {'y' * 300}", "File name too long"),
    ("--out torn", "config.json is damaged"),
    ("--out foreign", "was not written by this program"),
    ("--out damaged", "no checkpoint in damaged/checkpoints is whole"),
    # plugins
    ("--plugins missing", "--plugins missing: no such folder"),
    ("--plugins file", "--plugins file: no such folder"),
    ("--plugins", "--plugins needs a value"),
    ("--plugins syntax", "syntax.py: not valid Python"),
    ("--plugins syntax --list", "syntax.py: not valid Python"),
    ("--plugins boom --variant boom", "boom.py:4: ModuleNotFoundError: No module named 'no_such_package'"),
    ("--plugins boom --variant learned+bom", "Did you mean 'boom'?"),
    ("--plugins snap --variant snap", "snap.py:10: KeyError: 'snap'"),
]  # fmt: skip

EVALUATE = [
    ("", "RUN is missing"),
    ("--n 10", "RUN is missing"),
    ("run extra", "got 'extra', expected an option such as --samplers"),
    ("run --sampler euler", "Did you mean '--samplers'?"),
    ("run --guidance nan", "--guidance got 'nan', expected a number"),
    ("run --guidance 2 --guidances 3", "is given twice"),
    ("run --guidance -1", "eval.guidances got -1"),
    ("run --n 9", "eval.n got 9, expected 10 to"),
    ("run --samplers", "--samplers got no value"),
    ("run --samplers eulr", "unknown sampler 'eulr'. Did you mean 'euler'?"),
    ("run --samplers dopri5:atol=0", "option 'atol' got 0"),
    ("run --sampling-seeds 0", "eval.sampling-seeds got 0"),
    ("run --guidance-interval 1 0", "two rising times"),
    ("run --extractor cifar10", "wants pictures of 3x32x32"),
    ("run --extractor missing.safetensors", "No such file"),
    ("missing", "missing holds no run"),
    ("empty", "empty holds no run"),
    ("file", "file holds no run"),
    ("y" * 300, "File name too long"),
    ("unfinished", "unfinished is trained to step 0 of 20; finish it with experiments.run"),
    ("damaged", "no checkpoint in damaged/checkpoints is whole"),
    ("torn", "config.json is damaged"),
    ("foreign", "was not written by this program"),
    ("alien", "the saved settings are of another version"),
    ("plugged", "plugged was made with --plugins own; give --plugins with that folder"),
    ("plugged --plugins missing", "--plugins missing: no such folder"),
]

SAMPLE = [
    ("--out x.npz", "RUN is missing"),
    ("run", "--out is missing; expected a path"),
    ("run --out file", "--out file exists already"),
    ("run --out empty", "--out empty exists already"),
    ("run --out missing/x.npz", "missing is no folder that can be written"),
    ("run --out file/x", "file is no folder that can be written"),
    ("run --out x.zip", "expected FILE.npz, or a new folder without a suffix"),
    (f"run --out {'y' * 300}", "File name too long"),
    ("run --out x.npz --n 0", "n got 0"),
    ("run --out x.npz --n -5", "n got -5"),
    ("run --out x.npz --n 999999999999", "n got 999999999999"),
    ("run --out x.npz --n ten", "--n got 'ten', expected a whole number"),
    ("run --out x.npz --sampling-seed -1", "sampling-seed got -1"),
    ("run --out x.npz --guidance -1", "guidances got -1"),
    ("run --out x.npz --sampler eulr", "unknown sampler 'eulr'. Did you mean 'euler'?"),
    ("run --out x.npz --sampler euler:grid=none", "unknown grid 'none'"),
    ("run --out x.npz --sampler=", "--sampler got ''"),
    ("missing --out x.npz", "missing holds no run"),
    ("unfinished --out x.npz", "is trained to step 0 of 20"),
    ("damaged --out x.npz", "no checkpoint in damaged/checkpoints is whole"),
]


@pytest.mark.parametrize(("line", "says"), RUN)
def test_run(line, says):
    words = shlex.split(line)
    own = ("--preset", "--train.threads")
    begin = SMOKE[2:] if any(word.startswith(own[0]) for word in words) else SMOKE
    assert says in refused("run", *begin, *words)[0]


@pytest.mark.parametrize(("line", "says"), EVALUATE)
def test_evaluate(line, says):
    assert says in refused("evaluate", *shlex.split(line))[0]


@pytest.mark.parametrize(("line", "says"), SAMPLE)
def test_sample(line, says):
    assert says in refused("sample", *shlex.split(line))[0]


URIS = [
    "file:./mlruns",
    "file:///tmp/mlruns",
    "./mlruns",
    "mlruns",
    "garbage",
    "sqlite:",
    "sqlite://",
    "sqlite:///",
]
URIS += ["sqlite:///:memory:", "ftp://me:secret@host/x"]


@pytest.mark.parametrize("command", ["run", "evaluate"])
@pytest.mark.parametrize("uri", URIS)
def test_tracking_stores_that_cannot_be_written(command, uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    (line,) = refused(command, *(SMOKE if command == "run" else ("run",)))
    assert "MLFLOW_TRACKING_URI got" in line
    assert "expected sqlite:///FILE" in line
    assert "secret" not in line


def test_devices_that_are_not_there(monkeypatch):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    assert "device got 'cuda', which this machine" in refused("run", *SMOKE, "--device", "cuda")[0]


def test_all_differing_fields_are_listed():
    args = ("--out", "run", "--variant", "none", "--seed", "3", "--train.lr", "0.5", "--model.depth", "3")
    _, *fields = refused("run", *SMOKE, *args)
    assert [line.split(":")[0].strip() for line in fields] == [
        "model.depth",
        "seed",
        "train.lr",
        "variant",
        "variant source",
    ]
    assert fields[1] == "  seed: there 0, now 3"


def test_damaged_checkpoints_are_listed():
    _, *files = refused("run", *SMOKE, "--out", "damaged")
    assert len(files) == 1
    assert "SHA-256 does not match" in files[0]


def test_guidance_on_a_finished_run_without_a_null_class(tmp_path, desk):
    shutil.copytree(desk / "run", tmp_path / "plain")
    config = tmp_path / "plain/config.json"
    info = json.loads(config.read_text())
    info["config"]["model"]["conditional"] = False
    config.write_text(json.dumps(info))
    assert "no null class" in refused("evaluate", str(tmp_path / "plain"), "--guidance", "2")[0]
    wanted = ("--out", "x.npz", "--guidance", "2")
    assert "no null class" in refused("sample", str(tmp_path / "plain"), *wanted)[0]


@pytest.mark.parametrize(("command", "args"), [("run", (*SMOKE, "--out", "run")), ("evaluate", ("run",))])
def test_a_folder_in_use(command, args):
    with RunFolder(Path("run")).lock():
        (line,) = refused(command, *args)
    assert f"run is locked by process {os.getpid()} on " in line
    assert "wait or stop that process" in line


def test_long_lists_are_cut(monkeypatch):
    for i in range(30):
        (Path("few/0") / f"{i}.gif").write_bytes(b"none")
    try:
        _, *lines = refused("run", *SMOKE, "--data", "folder:few")
    finally:
        for i in range(30):
            (Path("few/0") / f"{i}.gif").unlink()
    assert len(lines) == 20
    assert lines[-1].startswith("  ... and ")


BY_PROCESS = [
    ("run", ("--train.lrr", "1"), "Did you mean '--train.lr'?"),
    ("run", ("--variant", "rope3d"), "unknown variant 'rope3d'"),
    ("run", ("--plugins", "syntax", "--list"), "syntax.py: not valid Python"),
    ("evaluate", ("empty",), "empty holds no run"),
    ("sample", ("run", "--out", "x.npz", "--n", "0"), "n got 0"),
    ("run", (*SMOKE, "--model.patch", "3"), "model.patch got 3"),
]


@pytest.mark.parametrize(("command", "args", "says"), BY_PROCESS)
def test_as_a_process(command, args, says):
    before = snapshot(Path("."))
    words = [sys.executable, "-m", f"experiments.{command}", *args]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200)
    assert snapshot(Path(".")) == before
    assert says in contract(Result(done.returncode, done.stdout, done.stderr))[0]
