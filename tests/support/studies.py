"""Carrying out studies as their users do, and reading what they leave behind."""

import contextlib
import copy
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

from experiments import study
from experiments.cli.main import main
from experiments.coordinator.plan import Plan, read_plan

ODD = [None, 5, "x", [], {}, float("inf"), True]  # what a bad disk or a hand puts into JSON
QUICK = ("--eval.every", "0", "--samplers", "euler:steps=1", "heun:steps=1", "--eval.n", "100")


@dataclass(frozen=True)
class Result:
    """What the command gave back."""

    code: int
    out: str
    err: str


def call_study(*args: object) -> Result:
    """Run `python -m experiments.study ARGS` in this process; its runs are processes of their own."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(study.command, [str(arg) for arg in args])
        except SystemExit as stop:
            return Result(int(str(stop.code)), out.getvalue(), err.getvalue())
    raise AssertionError("main always exits")


def plan_of(folder: Path, name: str) -> Plan:
    """The study in `folder`/studies."""
    plan = read_plan(folder / "studies" / name)
    assert plan is not None
    return plan


def unsealed_json(file: Path) -> dict[str, Any]:
    """A record as versions without seals wrote it."""
    saved: dict[str, Any] = json.loads(file.read_text())
    del saved["sha256"]
    return saved


def swapped(found: Any, odd: Any) -> Iterator[Any]:
    """Copies of a JSON value, in each of which one thing inside is another; for None also missing."""
    places = found.items() if isinstance(found, dict) else enumerate(found)
    for key, value in places:
        if isinstance(value, (dict, list)):
            for inner in swapped(value, odd):
                changed = copy.copy(found)
                changed[key] = inner
                yield changed
        changed = copy.copy(found)
        changed[key] = odd
        yield changed
        if isinstance(found, dict) and odd is None:
            yield {name: value for name, value in found.items() if name != key}


def trials_of(folder: Path, name: str) -> list[tuple[str, dict[str, Any], float | None, dict[int, float]]]:
    """Trials of every Optuna study of a study: state, params, value, intermediate values; in their order."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder}/studies/{name}/optuna.db")
    found = []
    for one in sorted(optuna.get_all_study_names(storage)):
        for trial in optuna.load_study(study_name=one, storage=storage).trials:
            found.append((trial.state.name, trial.params, trial.value, trial.intermediate_values))
    storage.engine.dispose()
    return found
