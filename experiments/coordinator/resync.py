"""Bring the tracking store in step with a study's folder; run folders decide what is true."""

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.cli.plugins import check_asked_for
from experiments.cli.progress import Progress
from experiments.coordinator.cell import Cell
from experiments.coordinator.optuna_trials import Trials
from experiments.coordinator.plan import Plan, read_plan, read_saved
from experiments.coordinator.tuning.search import replay
from experiments.records.definition import Definition, write_definition
from experiments.records.mlflow_mirror import Mirror
from experiments.records.mlflow_store import artifact_location, connect, hidden, tracking_uri
from experiments.records.mlflow_view import write_view
from experiments.records.run_folder import Ending, RunFolder
from rope_dit.errors import UserError, nearest

_log = logging.getLogger(__name__)


def sync_definition(definition: Definition) -> str:
    """Write a study's definition and its chart view; returns the view's place in the UI, '' if it cannot."""

    def write(client: Any, experiment_id: str) -> str:
        write_definition(client, experiment_id, definition)
        return write_view(client, experiment_id, definition)

    return _with_store(definition.name, write) or ""


def sync_runs(name: str, cells: Sequence[Cell]) -> None:
    """Send what the store lacks of each cell's run."""
    bar = Progress("tracking", len(cells), "run")
    stale = _with_store(name, lambda client, experiment_id: _stale(client, experiment_id, cells))
    for i, cell in enumerate(stale or []):
        with cell.folder.lock():
            cell.folder.open_metrics(sys.maxsize)
            ending = cell.folder.ending or Ending("KILLED", "killed")
            if not Mirror(cell.folder, name).close(ending.status, ending.outcome):
                break  # it has said so
        bar.update(i + 1)
    bar.close()


def _with_store(name: str, use: Callable[[Any, str], Any]) -> Any:
    """Call `use` with a client and the experiment's id; say so and return None where the store fails."""
    uri = tracking_uri()
    try:
        client = connect(uri)
        found = client.get_experiment_by_name(name)
        experiment_id = (
            found.experiment_id
            if found
            else client.create_experiment(name, artifact_location=artifact_location(uri, name))
        )
        return use(client, str(experiment_id))
    except Exception as error:  # whatever the store's client raises: the folders have it all
        text = hidden(" ".join(str(error).split()))[:80]
        _log.warning("MLflow at %s cannot be written (%s); later: study --sync %s", hidden(uri), text, name)
        return None


def _stale(client: Any, experiment_id: str, cells: Sequence[Cell]) -> list[Cell]:
    """Cells whose run in the store has not ended as its folder has."""
    there: dict[str, Any] = {}
    token = None
    while token != "":
        page = client.search_runs([experiment_id], page_token=token)
        there |= {run.data.tags.get("run_uid", ""): run for run in page}
        token = page.token or ""
    idle = (cell for cell in cells if cell.folder.record and not cell.folder.is_locked())
    return [cell for cell in idle if not _in_step(there, cell.folder)]


def _in_step(there: dict[str, Any], folder: RunFolder) -> bool:
    """A run's end is written after all else, so where it agrees, everything was sent."""
    record, ending = folder.record, folder.ending
    assert record is not None, "only of cells that have begun"
    run = there.get(record.id)
    if run is None or ending is None:
        return False
    last = max([record.created, *(score.time for score in folder.scores())])
    ended = run.info.end_time or 0
    same = run.info.status == ending.status and run.data.tags.get("outcome") == ending.outcome
    return same and ended >= int(last * 1000)


def cells_in(plan: Plan) -> list[Cell]:
    """Every run folder of a study, be it of a cell or of a configuration that tuning tried."""
    found = []
    for path in sorted(plan.runs.glob("*")):
        if (record := RunFolder(path).record) is not None:
            found.append(Cell(replace(record.settings, out=path), plan.facts["extractor"]))
    return found


def sync(studies: Path, name: str) -> Plan:
    """`--sync NAME`: make MLflow and Optuna again from run folders. Raises UserError where there are none."""
    path = (studies / name).absolute()
    saved = read_saved(path)
    if saved is None:
        names = sorted(file.parent.name for file in studies.glob("*/study.json"))
        there = f"in {studies} there are: {', '.join(names) or 'none'}"
        raise UserError(f"no study '{name}'; {there}.{nearest(name, names)}")
    check_asked_for(saved.base.get("plugins"), path)
    with RunFolder(path).lock():
        plan = read_plan(path)  # whoever held it may have changed it
        assert plan is not None, "nobody removes a study that is held"
        sync_definition(plan.definition())
        sync_runs(plan.name, cells_in(plan))
        if plan.kind == "tune":
            make_again(plan)
        else:
            Trials(plan.path, plan.name, plan.cells(), plan.endpoint())
    return plan


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
