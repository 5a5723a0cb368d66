"""Bring the tracking store in step with a study's folder; run folders decide what is true."""

import logging
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.cli.plugins import check_asked_for
from experiments.cli.progress import Progress
from experiments.coordinator.cell import Cell
from experiments.coordinator.copies.export import no_study
from experiments.coordinator.plan import Plan, read_plan, read_saved
from experiments.coordinator.replacing import FOLDER
from experiments.coordinator.trials.optuna_trials import Trials
from experiments.coordinator.tuning.search import replay
from experiments.records.definition import Definition, write_definition
from experiments.records.mlflow_mirror import Mirror
from experiments.records.mlflow_store import (
    check_experiment,
    chosen,
    connect,
    experiment_id,
    tracking_uri,
)
from experiments.records.mlflow_view import write_view
from experiments.records.run_folder import Ending, RunFolder
from experiments.records.sealing import chain
from experiments.records.stores.run_files import lacking
from experiments.records.stores.store_errors import hidden, passes, reason
from rope_dit.errors import UserError
from rope_dit.words import listed

_THREADS = 8  # questions at a time: a server answers each in some ms
_log = logging.getLogger(__name__)


def sync_definition(definition: Definition) -> str:
    """Write a study's definition and its chart view; returns the view's place in the UI, '' if it cannot."""

    def write(client: Any, experiment_id: str) -> str:
        write_definition(client, experiment_id, definition)
        return write_view(client, experiment_id, definition)

    return _with_store(definition.name, write) or ""


def sync_runs(name: str, cells: Sequence[Cell]) -> list[str]:
    """Send what the store lacks of each cell's run; returns what is not in step then, a line each."""
    bar = Progress("tracking", len(cells), "run")
    stale = _with_store(name, lambda client, experiment_id: _stale(client, experiment_id, cells))
    idle = [cell for cell, _ in stale or [] if not cell.folder.is_locked()]
    for i, cell in enumerate(idle):
        with cell.folder.lock():
            cell.folder.open_metrics(sys.maxsize)
            ending = _ending(cell)
            if not Mirror(cell.folder, name).close(ending.status, ending.outcome):
                break  # it has said so
        bar.update(i + 1)
    bar.close()
    if idle:  # what was sent is looked at, not believed
        stale = _with_store(name, lambda client, experiment_id: _stale(client, experiment_id, cells))
    if stale is None:
        return ["the store cannot be written"]
    return [f"{cell.name}: {why}" for cell, why in stale]


def _with_store(name: str, use: Callable[[Any, str], Any]) -> Any:
    """Call `use` with a client and the experiment's id; say so and return None where the store fails."""
    uri = tracking_uri()
    try:
        client = connect(uri)
        return use(client, experiment_id(client, name))
    except Exception as error:  # whatever the store's client raises: the folders have it all
        then = "later" if passes(error) else "once that is mended"
        message = "MLflow at %s cannot be written (%s); %s: study --sync %s"
        _log.warning(message, hidden(uri), reason(error, uri), then, name)
        return None


def _stale(client: Any, experiment_id: str, cells: Sequence[Cell]) -> list[tuple[Cell, str]]:
    """Cells whose run the store does not hold as its folder has it, and what is not so."""
    there: dict[str, list[Any]] = {}
    token = None
    while token != "":
        page = client.search_runs([experiment_id], page_token=token)
        for run in page:
            there.setdefault(run.data.tags.get("run_uid", ""), []).append(run)
        token = page.token or ""

    def look(cell: Cell) -> str:
        assert cell.folder.record is not None, "only of cells that have begun"
        return _differs(client, there.get(cell.folder.record.id, []), cell)

    begun = [cell for cell in cells if cell.folder.record]
    with ThreadPoolExecutor(_THREADS) as pool:
        return [(cell, why) for cell, why in zip(begun, pool.map(look, begun), strict=True) if why]


def _differs(client: Any, runs: list[Any], cell: Cell) -> str:
    """In what the run in the store is not as the folder has it; '' where it is.

    A seal alone, which every look writes anew, is sent here and now.
    """
    folder, ending, record = cell.folder, _ending(cell), cell.folder.record
    assert record is not None, "only of cells that have begun"
    if folder.is_locked():
        return "a process is at work on it, which sends it"
    if not runs:
        return "the store has no such run"
    run = chosen(runs)
    last = max([record.created, *(score.time for score in folder.scores())])
    same = run.info.status == ending.status and run.data.tags.get("outcome") == ending.outcome
    if not (same and (run.info.end_time or 0) >= int(last * 1000)):  # its end is written after all else
        return f"it is {run.info.status} there, {ending.status} in its folder"
    missing = lacking(client, run, folder.path)
    if missing == [chain.FILE]:
        client.log_artifact(run.info.run_id, str(folder.path / chain.FILE))
        missing = lacking(client, run, folder.path)
    return f"the store lacks {listed(missing)}, or holds another" if missing else ""


def _ending(cell: Cell) -> Ending:
    """How a run ended; one whose scores failed, and were made later by `evaluate`, is finished."""
    ending = cell.folder.ending or Ending("KILLED", "killed")
    return Ending("FINISHED", "finished") if ending.outcome == "error" and cell.is_scored() else ending


def cells_in(plan: Plan) -> list[Cell]:
    """Every run folder of a study: of a cell, of a configuration that tuning tried, of a replaced arm."""
    found = []
    for path in (*sorted(plan.runs.glob("*")), *sorted((plan.path / FOLDER).glob("*"))):
        if (record := RunFolder(path).record) is not None:
            found.append(Cell(replace(record.settings, out=path), plan.facts["extractor"]))
    return found


def sync(studies: Path, name: str) -> list[str]:
    """`--sync NAME`: make MLflow and Optuna again from run folders; returns what is not in step then.

    Raises UserError where there are none, or where the store takes nothing of that name.
    """
    path = (studies / name).absolute()
    saved = read_saved(path)
    if saved is None:
        raise no_study(studies, name)
    check_asked_for(saved.base.get("plugins"), path)
    check_experiment(name)
    with RunFolder(path).lock():
        plan = read_plan(path)  # whoever held it may have changed it
        assert plan is not None, "nobody removes a study that is held"
        sync_definition(plan.definition())
        apart = sync_runs(plan.name, cells_in(plan))
        if not sync_definition(plan.definition()):  # its view shows what the runs have by now
            apart.append("the study's definition is not written")
        if plan.kind == "tune":
            shown = make_again(plan)
        else:
            shown = Trials(plan.path, plan.name, plan.cells(), plan.endpoint()).works
        apart += [] if shown else ["Optuna's side is not written"]
    return apart


def make_again(plan: Plan) -> bool:
    """Make Optuna's side of a tuning study again, for which its data must be here; returns whether it is."""
    from experiments.coordinator.tuning.check_space import buildable  # takes torch
    from experiments.datasets import load

    try:
        images = load(plan.base.data)
    except UserError as error:  # which configurations can be depends on them
        _log.warning("Optuna's side of %s is not made again: %s", plan.name, error)
        return False
    return replay(plan, buildable(plan.base, images))
