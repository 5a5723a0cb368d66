"""Carrying out studies as their users do, and reading what they leave behind."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from commands import Result, call

from experiments.coordinator.plan import Plan, read_plan

ODD = [None, 5, "x", [], {}, float("inf"), True]  # what a bad disk or a hand puts into JSON
QUICK = ("--eval.every", "0", "--samplers", "euler:steps=1", "heun:steps=1", "--eval.n", "100")


def call_study(*args: object) -> Result:
    """Run `python -m experiments.study ARGS` in this process; its runs are processes of their own."""
    return call("study", *args)


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
