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
from bad_input_cases import EVALUATE, RUN, SAMPLE
from commands import SMOKE, Result, call, finished_run, snapshot
from PIL import Image

from experiments.cli.arguments import arguments
from experiments.config.run import RunConfig
from experiments.records.run_folder import RunFolder
from experiments.records.seal import sealed

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
LEAVE = SNAP.replace('raise KeyError("snap")', "raise SystemExit(0)").replace("snap", "leave")
GONE = f"{LEAVE.replace('leave', 'gone')}\nraise SystemExit(0)\n"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that can be named wrongly in it; no test changes it."""
    finished, desk = finished_run(tmp_path_factory), tmp_path_factory.mktemp("desk")
    for name in ("run", "unfinished", "damaged", "torn", "foreign", "alien", "plugged"):
        shutil.copytree(finished, desk / name)
    shutil.rmtree(desk / "unfinished/checkpoints")
    (desk / "unfinished/ending.json").unlink()
    for file in (desk / "damaged/checkpoints").iterdir():
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    (desk / "torn/config.json").write_text("{")
    (desk / "foreign/config.json").write_text("[1, 2]")
    info = json.loads((finished / "config.json").read_text())
    (desk / "alien/config.json").write_text(json.dumps(sealed(info | {"config": {"wings": 2}})))
    (desk / "plugged/config.json").write_text(
        json.dumps(sealed(info | {"config": info["config"] | {"plugins": "own"}}))
    )
    (desk / "file").write_text("x")
    (desk / "garbage.safetensors").write_bytes(b"garbage")
    for name, text in (
        ("syntax", "def (:\n"),
        ("boom", BOOM),
        ("snap", SNAP),
        ("leave", LEAVE),
        ("gone", GONE),
    ):
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
    assert name.removeprefix("--") in refused("run", *SMOKE[:2], name, "1e999")[0]


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
URIS += ["sqlite:///:memory:", "ftp://me:secret@host/x", "postgresqlx://me:secret@host/x", "mysql", "http://"]
URIS += ["postgresql+a+b://host/x", "http:host:5000"]


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


@pytest.mark.parametrize(("command", "args"), [("evaluate", ()), ("sample", ("--out", "x.npz"))])
def test_a_run_of_a_device_that_is_not_there(command, args, desk, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    shutil.copytree(desk / "run", tmp_path / "far")
    config = tmp_path / "far/config.json"
    info = json.loads(config.read_text())
    info["config"]["device"] = info["identity"]["device"] = "cuda"
    config.write_text(json.dumps(sealed(info)))
    (line,) = refused(command, str(tmp_path / "far"), *args)
    assert "far was trained on cuda, which this machine or this torch does not have; " in line
    assert line.endswith("; evaluate and sample it where there is one.")


def test_all_differing_fields_are_listed():
    args = ("--out", "run", "--variant", "none", "--seed", "3", "--train.lr", "0.5", "--model.depth", "3")
    _, *fields = refused("run", *SMOKE, *args)
    assert [line.split(":")[0].strip() for line in fields] == [
        "model.depth",
        "seed",
        "train.lr",
        "variant",
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
    config.write_text(json.dumps(sealed(info)))
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


@pytest.mark.parametrize(
    ("command", "args", "says"),
    [*BY_PROCESS[:1], *(pytest.param(*case, marks=pytest.mark.slow) for case in BY_PROCESS[1:])],
)
def test_as_a_process(command, args, says):
    before = snapshot(Path("."))
    words = [sys.executable, "-m", f"experiments.{command}", *args]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200)
    assert snapshot(Path(".")) == before
    assert says in contract(Result(done.returncode, done.stdout, done.stderr))[0]
