"""A study as Optuna shows it: each cell a trial. The coordinator alone writes.

The run folders are the truth, so what is in Optuna is made again at every start: a killed coordinator leaves
no RUNNING trial, and a study may gain arms, which Optuna's own studies cannot.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import TrialState, create_trial

from experiments.coordinator.cell import Cell, CellState
from experiments.coordinator.trials.optuna_storage import Projection
from experiments.records.definition import Endpoint

STATES = {"done": TrialState.COMPLETE, "diverged": TrialState.FAIL, "failed": TrialState.FAIL}


def direction_of(endpoint: Endpoint) -> Literal["minimize", "maximize"]:
    """Optuna's word for which direction is better."""
    return "minimize" if endpoint.better == "lower" else "maximize"


class Trials:
    """Keeps an Optuna study in step with the cells, as long as its database can be written.

    Args:
        folder: the study's folder.
        name: the study's name.
        cells: all its cells; those that have ended become trials at once,
        todo: but for these, which are worked on again.
        endpoint: the primary endpoint, as the study's definition has it.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        cells: Sequence[Cell],
        endpoint: Endpoint,
        todo: Collection[Cell] = (),
    ):
        self.endpoint = endpoint
        self._space: dict[str, BaseDistribution] = {
            "arm": CategoricalDistribution(list(dict.fromkeys(cell.arm for cell in cells))),
            "seed": CategoricalDistribution(sorted({cell.seed for cell in cells})),
        }
        self._running: dict[str, optuna.Trial] = {}
        again = {cell.name for cell in todo}
        ended = [cell for cell in cells if cell.name not in again]
        self._projection = Projection(folder, name)
        self._projection.attempt(lambda storage: self._create(storage, name, ended))

    @property
    def works(self) -> bool:
        """Whether all of it could be written so far."""
        return self._projection.works

    def start(self, cell: Cell) -> None:
        """A process has begun to work on the cell."""
        if cell.name not in self._running:
            self._projection.attempt(lambda _: self._start(cell))

    def end(self, cell: Cell, state: CellState) -> None:
        """The cell has come to its end."""
        self._projection.attempt(lambda _: self._end(cell, state))

    def _create(self, storage: optuna.storages.RDBStorage, name: str, ended: Sequence[Cell]) -> None:
        direction = direction_of(self.endpoint)
        self._study = optuna.create_study(storage=storage, study_name=name, direction=direction)
        self._study.set_user_attr("primary endpoint", asdict(self.endpoint))
        for cell in ended:
            if (state := cell.state()) in STATES:
                self._add(cell, state)

    def _start(self, cell: Cell) -> None:
        self._study.enqueue_trial(_params(cell))
        self._running[cell.name] = self._study.ask(self._space)

    def _end(self, cell: Cell, state: CellState) -> None:
        trial, points = self._running.pop(cell.name), scores_by_step(cell, self.endpoint)
        for step, value in points.items():
            trial.report(value, step)
        for key, text in _attributes(cell).items():
            trial.set_user_attr(key, text)
        done = STATES[state] == TrialState.COMPLETE
        reached = points.get(self.endpoint.train_step) if done else None
        self._study.tell(trial, reached, state=STATES[state])

    def _add(self, cell: Cell, state: CellState) -> None:
        points, record = scores_by_step(cell, self.endpoint), cell.folder.record
        done = STATES[state] == TrialState.COMPLETE
        trial = create_trial(
            state=STATES[state],
            params=_params(cell),
            distributions=self._space,
            value=points[self.endpoint.train_step] if done else None,
            intermediate_values=points,
            user_attrs=_attributes(cell),
        )
        if record:
            times = [score.time for score in cell.folder.scores()]
            trial.datetime_start = datetime.fromtimestamp(record.created)
            trial.datetime_complete = datetime.fromtimestamp(max([record.created, *times]))
        self._study.add_trial(trial)


def scores_by_step(cell: Cell, endpoint: Endpoint) -> dict[int, float]:
    """The cell's scores by training step: of few pictures on the way, of all at the endpoint.

    Of several samplings it is the mean.
    """
    same = {name: value for name, value in endpoint.fields().items() if name not in ("n", "train_step")}
    seeds = endpoint.sampling_seeds(cell.seed)
    rough: dict[int, float] = {}
    whole: dict[int, list[float]] = {}
    for score in cell.folder.scores():
        key, step = score.key, score.key.train_step
        alike = all(getattr(key, name) == value for name, value in same.items())
        if alike and key.sampling_seed in seeds:
            if key.n == endpoint.n:
                whole.setdefault(step, []).append(score.value)
            elif step < cell.config.train.steps:
                rough.setdefault(step, score.value)
    return dict(sorted({**rough, **{step: fmean(values) for step, values in whole.items()}}.items()))


def _params(cell: Cell) -> dict[str, Any]:
    return {"arm": cell.arm, "seed": cell.seed}


def _attributes(cell: Cell) -> dict[str, str]:
    ending = cell.folder.ending
    outcome = {"outcome": ending.outcome, "message": ending.message} if ending else {}
    return {"folder": str(cell.folder.path), "variant": cell.config.variant, **outcome}
