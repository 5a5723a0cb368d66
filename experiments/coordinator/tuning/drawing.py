"""The configurations of one arm as Optuna draws them: none that cannot be, and none twice.

Optuna's study is held in memory and is asked and told in one fixed order, so that a search that was
interrupted draws the same again.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import optuna
from optuna.trial import TrialState

from experiments.config.study import Space
from experiments.coordinator.arm import Arm
from experiments.coordinator.plan import Plan
from experiments.coordinator.trials.optuna_storage import quiet
from experiments.coordinator.trials.optuna_trials import direction_of
from experiments.coordinator.tuning.space import (
    configured,
    default_params,
    distribution,
    own_space,
    points,
    value_text,
)
from rope_dit.errors import UserError

DRAWS = 100  # for one configuration, before it is given up
GUIDED = 10  # of them by TPE, which may want the same again and again; the others by chance alone
AGAIN = "it was drawn before"

WhyNot = Callable[[Arm], str]
"""why an arm's runs cannot be, '' where they can"""


@dataclass
class Candidate:
    """One configuration of an arm.

    Args:
        number: of its place among those that are trained, from 0; 0 is the arm as it is by default.
        trial: Optuna's.
        arm: the arm with this configuration; its label ends in the number.
        values: scores by training step, one a rung.
    """

    number: int
    trial: optuna.Trial
    arm: Arm
    values: dict[int, float] = field(default_factory=dict)


class Drawing:
    """Draws the configurations of an arm.

    Args:
        plan: the tuning study.
        arm: one of its arms.
        space: what is searched, in all arms.
        why_not: tells which configurations cannot be.
        once: whether one that was drawn before is drawn no more; searches of earlier versions train it again.
    """

    def __init__(self, plan: Plan, arm: Arm, space: Space, why_not: WhyNot, once: bool):
        quiet()
        self.plan, self.arm, self.space, self._once = plan, arm, own_space(arm, space), once
        self.study = optuna.create_study(direction=direction_of(plan.endpoint()))
        self.refused = Counter[str]()
        self._why_not, self._points = why_not, points(self.space)
        self._drawn, self._asked = set[str](), 0

    def ask(self, number: int) -> Candidate:
        """The next configuration. Samplers are seeded by arm, number and try, so a replay asks the same.

        One that cannot be is told to Optuna as failed, with its reason, and another is drawn in its place.
        Raises UserError where DRAWS of them cannot be.
        """
        for attempt in range(DRAWS):
            self.study.sampler = self._sampler(number, attempt)
            if number == attempt == 0:
                self.study.enqueue_trial(default_params(self.arm, self.space, self.plan))
            elif attempt == GUIDED and (left := self._left(number)):
                self.study.enqueue_trial(left)
            trial = self.study.ask({key: distribution(what) for key, what in self.space.items()})
            self._asked += 1
            why, arm = self._judged(trial.params if number else {})
            if not why:
                self._drawn.add(arm.settings(self.plan.base))
                trial.set_user_attr("configuration", str(arm))
                return Candidate(number, trial, replace(arm, label=f"{self.arm.label}-t{number:03d}"))
            self.refused[why] += 1
            trial.set_user_attr("refused", why)
            self.study.tell(trial, state=TrialState.FAIL)
        (why, _), *_ = self.refused.most_common(1)
        raise UserError(
            f"arm {self.arm.label}: {self.refused.total()} of {self._asked} configurations that were drawn "
            f"cannot be trained, most often because {why.rstrip('.')}; mend SPACE."
        )

    @property
    def impossible(self) -> int:
        """How many that were drawn cannot be."""
        return self.refused.total() - self.refused[AGAIN]

    def distinct(self, most: int) -> int:
        """How many configurations there are that can be, counted up to `most`, the default one included."""
        found = {self.arm.settings(self.plan.base)}
        for values in self._points if self._points is not None else ():
            if len(found) >= most:
                break
            why, arm = self._judged(values)
            if not why:
                found.add(arm.settings(self.plan.base))
        return most if self._points is None else min(most, len(found))

    def tell(self, candidates: Sequence[Candidate]) -> None:
        """Tell Optuna what became of candidates, in this order; pruned are those that were stopped."""
        last = self.plan.base.train.steps
        for c in candidates:
            for step, value in c.values.items():
                c.trial.report(value, step)
            state = TrialState.COMPLETE if last in c.values else TrialState.PRUNED
            self.study.tell(c.trial, c.values.get(last), state=state)

    def _judged(self, values: Mapping[str, Any]) -> tuple[str, Arm]:
        """Why these values are not to be trained, '' where they are, and the arm with them."""
        arm = self.arm
        try:
            for key, value in values.items():
                arm = configured(arm, key, value_text(value))
            if self._once and arm.settings(self.plan.base) in self._drawn:
                return AGAIN, arm
        except UserError as error:
            return str(error), arm
        return self._why_not(arm), arm

    def _left(self, number: int) -> dict[str, Any] | None:
        """One that is still to be tried, by chance, where all can be listed and there is one."""
        every = [*(self._points or ())]
        random.Random(f"{self.plan.name}/{self.arm.label}/{number}").shuffle(every)
        return next((values for values in every if not self._judged(values)[0]), None)

    def _sampler(self, number: int, attempt: int) -> optuna.samplers.BaseSampler:
        again = f"/{attempt}" if attempt else ""
        digest = hashlib.sha256(f"{self.plan.name}/{self.arm.label}/{number}{again}".encode()).digest()
        seed = int.from_bytes(digest[:4], "big")
        samplers = optuna.samplers
        return samplers.TPESampler(seed=seed) if attempt <= GUIDED else samplers.RandomSampler(seed=seed)
