"""Calling the commands inside the test's process, as their users do, and reading what they leave behind."""

import contextlib
import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from experiments import evaluate, run, sample
from experiments.cli import main
from rope_dit.registry import PLUGINS, REGISTRIES

COMMANDS = {"run": run.command, "evaluate": evaluate.command, "sample": sample.command}
SMOKE = ("--preset", "smoke", "--train.threads", "1")
QUICK = (*SMOKE, "--eval.n", "10", "--eval.every", "0", "--eval.samplers", "euler:steps=1")


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
        if PLUGINS:
            PLUGINS.clear()
            for registry in REGISTRIES.values():
                registry._entries = None
    assert isinstance(code, int), code
    return Result(code, out.getvalue(), err.getvalue())


def rows(folder: Path) -> list[dict[str, str]]:
    """Rows of scores.csv."""
    with open(folder / "scores.csv", newline="") as file:
        return list(csv.DictReader(file))


def timeless(folder: Path) -> list[dict[str, str]]:
    """Rows of scores.csv without the time at which they were made."""
    return [{key: value for key, value in row.items() if key != "time"} for row in rows(folder)]


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of everything below a folder, but for the lock, which every command takes."""
    found = {}
    for path, _, files in os.walk(folder):
        for name in (".", *files):
            if name != "lock":
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
