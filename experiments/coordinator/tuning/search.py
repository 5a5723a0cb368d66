"""Search each arm's settings by TPE and successive halving, the arms side by side.

Optuna is asked and told in one fixed order and has nothing that is not in the run folders, so an interrupted
search, started again, asks the same questions and goes on identically.
"""

import contextlib
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import optuna
from optuna.trial import TrialState

from experiments.config.study import Space
from experiments.config.text import from_json
from experiments.config.tuning import TuneConfig
from experiments.coordinator.arm import Arm
from experiments.coordinator.cell import FINAL, Cell
from experiments.coordinator.optuna_trials import direction_of, open_storage, scores_by_step
from experiments.coordinator.plan import Plan
from experiments.coordinator.tuning.space import (
    configured,
    default_params,
    distribution,
    own_space,
    read_space,
    value_text,
)


@dataclass
class Candidate:
    """One configuration of an arm.

    Args:
        number: of its trial, from 0; 0 is the arm as it is by default.
        trial: Optuna's.
        arm: the arm with this configuration; its label ends in the number.
        values: scores by training step, one a rung.
    """

    number: int
    trial: optuna.Trial
    arm: Arm
    values: dict[int, float] = field(default_factory=dict)


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
        work: carries out cells.
    """

    def __init__(self, plan: Plan, config: TuneConfig, space: Space, work: Worker):
        self.plan, self.config, self.space, self.work = plan, config, space, work
        storage, direction = open_storage(plan.path), direction_of(plan.endpoint())
        self._studies = {
            label: optuna.create_study(
                storage=storage, study_name=f"{plan.name}/{label}", direction=direction
            )
            for label in plan.arms
        }
        self._sign = 1 if direction == "minimize" else -1

    def run(self) -> list[dict[str, Any]]:
        """Search; returns for each arm what was found, as tuned.json has it."""
        every: dict[str, list[Candidate]] = {label: [] for label in self.plan.arms}
        for first in range(0, self.config.trials, self.config.width):
            numbers = range(first, min(first + self.config.width, self.config.trials))
            lot = {label: [self._ask(arm, n) for n in numbers] for label, arm in self.plan.arms.items()}
            self._halve(lot)
            for label, candidates in lot.items():
                self._tell(label, candidates)
                every[label] += candidates
        return [self._found(self.plan.arms[label], candidates) for label, candidates in every.items()]

    def close(self) -> None:
        """Leave no trial RUNNING: what is unfinished is asked again by the next start."""
        for study in self._studies.values():
            for trial in study.get_trials(states=(TrialState.RUNNING,)):
                study.tell(trial.number, state=TrialState.FAIL)

    def _ask(self, arm: Arm, number: int) -> Candidate:
        """The next configuration. The sampler is seeded by arm and number, so a replay asks the same."""
        study, space = self._studies[arm.label], own_space(arm, self.space)
        digest = hashlib.sha256(f"{self.plan.name}/{arm.label}/{number}".encode()).digest()
        study.sampler = optuna.samplers.TPESampler(seed=int.from_bytes(digest[:4], "big"))
        if number == 0:
            study.enqueue_trial(default_params(arm, space, self.plan))
        trial = study.ask({key: distribution(what) for key, what in space.items()})
        chosen = arm
        for key, value in trial.params.items() if number else ():
            chosen = configured(chosen, key, value_text(value))
        trial.set_user_attr("configuration", str(chosen))
        return Candidate(number, trial, replace(chosen, label=f"{arm.label}-t{number:03d}"))

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

    def _tell(self, label: str, candidates: Sequence[Candidate]) -> None:
        last = self.plan.base.train.steps
        for c in candidates:
            for step, value in c.values.items():
                c.trial.report(value, step)
            state = TrialState.COMPLETE if last in c.values else TrialState.PRUNED
            self._studies[label].tell(c.trial, c.values.get(last), state=state)

    def _found(self, arm: Arm, candidates: Sequence[Candidate]) -> dict[str, Any]:
        last = self.plan.base.train.steps
        best = next(iter(self._ranked([c for c in candidates if last in c.values], last)), candidates[0])
        steps = [max(c.values, default=0) for c in candidates]
        return {
            "default": str(arm), "tuned": str(replace(best.arm, label=f"{arm.label}-tuned")),
            "trial": best.number, "value": best.values.get(last), "default_values": candidates[0].values,
            "trials": len(candidates), "steps": sum(steps) * len(self.plan.seeds),
            "candidates": [str(c.arm) for c in candidates],
        }  # fmt: skip


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


def replay(plan: Plan) -> None:
    """Make Optuna's side of a tuning study again from its run folders, as far as they go."""
    search = Search(
        plan,
        from_json(TuneConfig, json.loads(plan.facts["tune"])),
        read_space(plan.facts["space"]),
        _NoWork(),
    )
    with contextlib.suppress(_Unfinished):
        search.run()
    search.close()
