"""Search each arm's settings by TPE and successive halving, the arms side by side.

Optuna has nothing that is not in the run folders, so an interrupted search, started again, goes
on identically.
"""

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import optuna

from experiments.config.study import Space
from experiments.config.text import from_json
from experiments.config.tuning import TuneConfig
from experiments.coordinator.arm import Arm
from experiments.coordinator.cell import FINAL, Cell
from experiments.coordinator.plan import Plan
from experiments.coordinator.trials.optuna_storage import Projection
from experiments.coordinator.trials.optuna_trials import direction_of, scores_by_step
from experiments.coordinator.tuning.drawing import Candidate, Drawing, WhyNot
from experiments.coordinator.tuning.space import read_space
from experiments.coordinator.tuning.tuned import TunedArm
from rope_dit.errors import UserError

ONCE = {"configurations": "each once"}
"""fact of a tuning study that draws none twice; those of before trained some again"""


class Worker(Protocol):
    """Carries out cells: `experiments.coordinator.cell_queue.CellQueue`."""

    def carry_out(self, cells: Sequence[Cell]) -> None:
        """Work on cells until each has ended."""


class Search:
    """The search of all arms side by side, lot by lot and rung by rung.

    Args:
        plan: the tuning study.
        config: how much is spent.
        space: what is searched.
        why_not: tells which configurations cannot be.
        work: carries out cells.
    """

    def __init__(self, plan: Plan, config: TuneConfig, space: Space, why_not: WhyNot, work: Worker):
        self.plan, self.config, self.work = plan, config, work
        self._drawings = drawings(plan, plan.arms, space, why_not)
        self._direction = direction_of(plan.endpoint())
        self._sign = 1 if self._direction == "minimize" else -1
        self.projection = Projection(plan.path, plan.name)
        self._projected = dict.fromkeys(plan.arms, 0)

    def run(self) -> list[TunedArm]:
        """Search; returns for each arm what was found. Raises UserError where hardly any can be."""
        every: dict[str, list[Candidate]] = {label: [] for label in self.plan.arms}
        for first in range(0, self.config.trials, self.config.width):
            numbers = range(first, min(first + self.config.width, self.config.trials))
            lot = {label: [drawing.ask(n) for n in numbers] for label, drawing in self._drawings.items()}
            self._halve(lot)
            for label, candidates in lot.items():
                self._drawings[label].tell(candidates)
                every[label] += candidates
            self.projection.attempt(self._project)
        return [self._found(self.plan.arms[label], candidates) for label, candidates in every.items()]

    def _project(self, storage: optuna.storages.RDBStorage) -> None:
        """Show in Optuna's database what it has not seen yet."""
        for label, drawing in self._drawings.items():
            study = optuna.create_study(
                storage=storage, study_name=f"{self.plan.name}/{label}", direction=self._direction,
                load_if_exists=True,
            )  # fmt: skip
            trials = drawing.study.get_trials(deepcopy=False)
            study.add_trials(trials[self._projected[label] :])
            self._projected[label] = len(trials)

    def _halve(self, lot: Mapping[str, Sequence[Candidate]]) -> None:
        """Train all to the first rung, the best of each arm to the next, and so on."""
        alive = {label: [*candidates] for label, candidates in lot.items()}
        steps = rungs(self.plan, self.config)
        for step in steps:
            everyone = [c for candidates in alive.values() for c in candidates]
            self._carry_out(
                [cell for c in everyone for cell in self._cells(c, step)], settle=step == steps[-1]
            )
            for c in everyone:
                if (value := self._value(c, step)) is not None:
                    c.values[step] = value
            out: list[Candidate] = []
            for label, candidates in alive.items():
                ranked = self._ranked(candidates, step)
                kept = math.ceil(len(ranked) / self.config.eta) if step != steps[-1] else len(ranked)
                alive[label], out = sorted(ranked[:kept], key=lambda c: c.number), out + ranked[kept:]
            self._carry_out([cell for c in out for cell in self._cells(c, step)], settle=True)

    def _ranked(self, candidates: Sequence[Candidate], step: int) -> list[Candidate]:
        """The best first; those without a value at this step last."""

        def cost(candidate: Candidate) -> tuple[float, int]:
            value = candidate.values.get(step)
            return math.inf if value is None else self._sign * value, candidate.number

        return sorted(candidates, key=cost)

    def _carry_out(self, cells: Sequence[Cell], settle: bool) -> None:
        """Do what is missing. With `settle`, a run that was killed after its scores is ended properly too."""
        ended = [cell for cell in cells if cell.state() in FINAL or (not settle and cell.is_scored())]
        names = {cell.name for cell in ended}
        self.work.carry_out([cell for cell in cells if cell.name not in names])

    def _cells(self, candidate: Candidate, step: int) -> list[Cell]:
        config = replace(candidate.arm.config(self.plan.base), until=step)
        return [self.plan.cell(config, seed) for seed in self.plan.seeds]

    def _value(self, candidate: Candidate, step: int) -> float | None:
        """Mean over the tuning seeds, or None where a run diverged or failed before this step."""
        values = [
            scores_by_step(cell, self.plan.endpoint()).get(step) for cell in self._cells(candidate, step)
        ]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if len(known) == len(values) else None

    def _found(self, arm: Arm, candidates: Sequence[Candidate]) -> TunedArm:
        last = self.plan.base.train.steps
        best = next(iter(self._ranked([c for c in candidates if last in c.values], last)), candidates[0])
        steps = [max(c.values, default=0) for c in candidates]
        return TunedArm(
            default=str(arm), tuned=str(replace(best.arm, label=f"{arm.label}-tuned")),
            trial=best.number, value=best.values.get(last),
            default_values={str(step): value for step, value in candidates[0].values.items()},
            trials=len(candidates), steps=sum(steps) * len(self.plan.seeds),
            candidates=tuple(str(c.arm) for c in candidates), refused=self._drawings[arm.label].impossible,
        )  # fmt: skip


def drawings(plan: Plan, arms: Mapping[str, Arm], space: Space, why_not: WhyNot) -> dict[str, Drawing]:
    """What draws the configurations of each arm."""
    once = ONCE.items() <= plan.facts.items()
    return {label: Drawing(plan, arm, space, why_not, once) for label, arm in arms.items()}


def rungs(plan: Plan, config: TuneConfig) -> list[int]:
    """Training step of each rung; the last is the end of the training."""
    steps = plan.base.train.steps
    return sorted({max(1, steps // config.eta**i) for i in range(config.rungs)})


class _Unfinished(Exception):
    """A run is missing that the search would go on from."""


class _NoWork:
    """Stands in for a queue where nothing may be started."""

    def carry_out(self, cells: Sequence[Cell]) -> None:
        if cells:
            raise _Unfinished


def replay(plan: Plan, why_not: WhyNot) -> bool:
    """Make Optuna's side of a tuning study again from its run folders, as far as whole lots go.

    Returns whether it could be written. Raises UserError where the study's facts are damaged.
    """
    try:
        config = from_json(TuneConfig, json.loads(plan.facts["tune"]))
    except ValueError as error:
        raise UserError(f"{plan.path}: the saved tune is damaged ({error}).") from None
    search = Search(plan, config, read_space(plan.facts["space"]), why_not, _NoWork())
    with contextlib.suppress(_Unfinished):
        search.run()
    return search.projection.works
