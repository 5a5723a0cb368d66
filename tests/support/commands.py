"""Calling the commands inside the test's process, as their users do, and reading what they leave behind.

A test module imports the fixtures that it uses; their names in tests are `finished`, `copy` and so on.
"""

import contextlib
import csv
import io
import json
import os
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from experiments import bench, convergence, document, evaluate, run, sample, study, train_extractor
from experiments.cli.main import main
from experiments.runner import migrate
from rope_dit.registry import PLUGINS, REGISTRIES

COMMANDS = {
    "run": run.command,
    "evaluate": evaluate.command,
    "sample": sample.command,
    "bench": bench.command,
    "study": study.command,
    "train_extractor": train_extractor.command,
    "document": document.command,
    "convergence": convergence.command,
    "migrate": migrate.command,
}
SMOKE = ("--preset", "smoke", "--train.threads", "1")
TIMING = ("time", "sampling_seconds")
METRIC = """
from experiments.config.registries import METRICS

@METRICS.register("bias")
class Bias:
    "Always 0."

    values = {"bias": "lower"}
    min_images = 2

    def measure(self, generated, real):
        return {"bias": 0.0}
"""
"""a plug-in: a metric"""
QUICK = (
    *SMOKE,
    "--probes",
    "none",
    "--eval.n",
    "10",
    "--eval.every",
    "0",
    "--eval.samplers",
    "euler:steps=1",
)


@dataclass(frozen=True)
class Result:
    """What a command gave back."""

    code: int
    out: str
    err: str


def call(command: str, *args: object) -> Result:
    """Run `python -m experiments.COMMAND ARGS` in this process; plugins are forgotten afterwards."""
    out, err = io.StringIO(), io.StringIO()
    code: object = "no exit"
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(COMMANDS[command], [str(arg) for arg in args])
    except SystemExit as stop:
        code = stop.code
    finally:
        forget_plugins()
    assert isinstance(code, int), code
    return Result(code, out.getvalue(), err.getvalue())


def forget_plugins() -> None:
    """As the next process does, which is given other folders; what ships stays imported."""
    PLUGINS.clear()
    for registry in REGISTRIES.values():
        registry._entries = None
        own = registry._made.items()
        registry._made = {n: made for n, made in own if not made.__module__.startswith("rope_dit_plugin")}


def rows(folder: Path) -> list[dict[str, str]]:
    """Rows of scores.csv, without the SHA-256 of the whole table."""
    with open(folder / "scores.csv", newline="") as file:
        return [{key: text for key, text in row.items() if key != "sha256"} for row in csv.DictReader(file)]


def timeless(folder: Path) -> list[dict[str, str]]:
    """Rows of scores.csv without when they were made and how long it took."""
    return [{key: value for key, value in row.items() if key not in TIMING} for row in rows(folder)]


def unseal(folder: Path) -> None:
    """Leave a run's records without their SHA-256, as an earlier version wrote them: they may be edited."""
    record = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({key: v for key, v in record.items() if key != "sha256"}))
    found, text = rows(folder), io.StringIO()
    writer = csv.DictWriter(text, found[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    (folder / "scores.csv").write_text(text.getvalue())


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of everything below a folder, but for the lock, which every command takes."""
    found = {}
    for path, _, files in os.walk(folder):
        for name in (".", *files):
            if name not in ("lock", "owner"):
                stat = os.lstat(os.path.join(path, name))
                found[os.path.join(path, name)] = (stat.st_size, stat.st_mtime_ns)
    return found


_finished: list[Path] = []


def finished_run(factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished smoke run, made once; tests that change it take a copy.

    Beside it lies `mlflow.db`, which tests can use too, for to make one takes seconds.
    """
    if _finished:
        return _finished[0]
    folder = factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        made = call("run", *SMOKE, "--out", folder / "run")
    assert made.code == 0, made.err
    _finished.append(folder / "run")
    return _finished[0]


def use(finished: Path, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Work in `folder`, with the tracking store of the finished run."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{finished.parent}/mlflow.db")


@pytest.fixture(name="finished", scope="session")
def finished_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished smoke run, which no test changes."""
    return finished_run(tmp_path_factory)


@pytest.fixture(name="_work_elsewhere", autouse=True)
def work_elsewhere(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of a module that imports this work in folders of their own, with the finished run's store."""
    use(finished, monkeypatch, tmp_path)


@pytest.fixture(name="copy")
def copy_fixture(finished: Path) -> Path:
    """A finished run that may be changed, `run` in the current folder."""
    return Path(shutil.copytree(finished, "run"))


def fork(work: Callable[[], int | None]) -> int:
    """Do `work` in a process of its own, which leaves with what it returns, or with 1 where it raises."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        code = work() or 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


@contextlib.contextmanager
def process(work: Callable[[], int | None]) -> Iterator[int]:
    """Do `work` in a process of its own, which does not outlive the block."""
    pid = fork(work)
    try:
        yield pid
    finally:
        with contextlib.suppress(ChildProcessError):  # it was waited for
            if not os.waitpid(pid, os.WNOHANG)[0]:
                os.kill(pid, signal.SIGKILL)
                wait(pid)


def wait(pid: int) -> int:
    """Wait for the end of a process and return its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def trained(steps: int) -> bool:
    """Whether the run in the folder `run` has so many rows of curves."""
    file = Path("run/metrics.jsonl")
    return file.exists() and file.read_bytes().count(b"\n") >= steps


def until(ready: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until `ready` says so; fail after `seconds`."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


TWO_RUNS = "two-arms"
TWO_RUNS_ARGS = (
    *("--preset", "smoke", "--study", TWO_RUNS, "--train.steps", "40", "--train.threads", "1"),
    *("--eval.samplers", "euler:steps=2", "euler:steps=4", "euler:steps=8", "heun:steps=1", "heun:steps=2"),
    *("dopri5:atol=0.01,rtol=0.01", "--eval.sampling-seeds", "2"),
)


@pytest.fixture(name="two_runs", scope="module")
def two_runs_fixture(tmp_path_factory):
    """Folder with mlflow.db and runs/ of the variants none and rope2d."""
    folder = tmp_path_factory.mktemp("two_runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for variant in ("rope2d", "none"):
            assert call("run", *TWO_RUNS_ARGS, "--variant", variant).code == 0
    return folder
