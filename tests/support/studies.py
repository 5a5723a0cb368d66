"""Carrying out studies as their users do, and reading what they leave behind."""

import contextlib
import copy
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from commands import Result, call
from mlflow.tracking._tracking_service import utils

from experiments import study
from experiments.cli.main import StopFlag
from experiments.cli.plugins import plugin_errors
from experiments.coordinator import ablate
from experiments.coordinator.launchers import Ended, Task
from experiments.coordinator.plan import Plan, read_plan
from experiments.coordinator.seals import seal_new_run
from experiments.coordinator.sharp.measure import measure
from experiments.coordinator.worker import read_cell
from experiments.runner.run import run
from rope_dit.errors import UserError

ODD = [None, 5, "x", [], {}, float("inf"), True]  # what a bad disk or a hand puts into JSON
QUICK = ("--eval.every", "0", "--probes", "none", "--samplers", "euler:steps=1", "heun:steps=1")
QUICK += ("--eval.n", "100")


def call_study(*args: object, processes: bool = False) -> Result:
    """Run `python -m experiments.study ARGS` in this process, its runs too unless in `processes`."""
    with pytest.MonkeyPatch.context() as patch:
        if not processes:
            patch.setattr(ablate, "make_launcher", lambda *_: Here())
        return call("study", *args)


class Here:
    """A launcher that carries out a study's runs in this process: none has to import torch first."""

    slots = 1

    def __init__(self) -> None:
        self._ended: list[Ended] = []

    def start(self, task: Task) -> None:
        """Carry the run out; what it says goes to its log, as any launcher has it."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            if task.name == "sharp":
                measure(Path(task.command[3]), Path(task.command[4]), StopFlag())
            code = 0 if task.name == "sharp" else carried_out(Path(task.command[3]))
        task.log.write_text(out.getvalue())
        self._ended.append(Ended(task.name, code))

    def poll(self, seconds: float) -> list[Ended]:
        """All that has ended."""
        ended, self._ended = self._ended, []
        return ended

    def stop(self, grace_seconds: float) -> None:
        """Nothing is at work."""


def carried_out(cell: Path) -> int:
    """Carry out the run of a cell's file, as a worker does; the exit code of its process."""
    try:
        config = read_cell(cell)
        assert config.out is not None
        seal_new_run(config.out, cell.absolute().parent.parent)
        with plugin_errors():
            return run(config, StopFlag())
    except Exception as error:
        print(f"error: {error}")
        return 2 if isinstance(error, UserError) else 1


def studies_in(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let studies be carried out in a folder, with its store, by this process, and write no report.

    It may be a copy of one that this process had before, for whose runs MLflow knows where their files lie.
    """
    utils._artifact_repos_cache.clear()
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
    patch.chdir(folder)
    patch.setattr(study, "write_report", no_report)


def no_report(name: str, uri: str, out: Path) -> Path:
    """Where the report would be: to draw its figures takes seconds."""
    return out / name / "index.html"


def made_study(folder: Path, *args: object, processes: bool = False, report: bool = False) -> Result:
    """Carry out a study in a folder, with its store and on demand its report; it must end well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        if not report:
            patch.setattr(study, "write_report", no_report)
        patch.setenv("MLFLOW_TRACKING_URI", "")  # so that what the command pins is forgotten afterwards
        result = call_study(*args, processes=processes)
    assert result.code == 0, result.err
    return result


def copied_study(folder: Path, to: Path, patch: pytest.MonkeyPatch) -> Path:
    """A copy of a folder with a study to go on with; its store knows the run folders by their first place."""
    shutil.copytree(folder, to, dirs_exist_ok=True)
    patch.setenv("MLFLOW_TRACKING_URI", "")
    patch.chdir(to)
    return to


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
