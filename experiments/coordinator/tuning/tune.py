"""Tune each arm's settings; every arm trains equally many steps, on seeds that no comparison uses."""

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from experiments.cli.main import FAILED, OK, StopFlag
from experiments.config.canonical import scoring
from experiments.config.study import Space, StudyConfig
from experiments.config.text import to_json
from experiments.config.tuning import TuneConfig
from experiments.coordinator.ablate import hold, launching
from experiments.coordinator.arm import Arm, parse_arms
from experiments.coordinator.cell_queue import AllFail, CellQueue
from experiments.coordinator.endpoint import check_endpoint, said
from experiments.coordinator.plan import Plan, grow, read_plan
from experiments.coordinator.plan_ablation import as_saved, facts, resolve_arms, shared_settings
from experiments.coordinator.resync import cells_in, sync_definition, sync_runs
from experiments.coordinator.tuning.check_space import check_space, typed_space
from experiments.coordinator.tuning.search import Search, rungs
from experiments.coordinator.tuning.space import read_space, space_text
from experiments.records.mlflow_store import check_experiment
from rope_dit.durable import write_durably
from rope_dit.errors import UserError

FIRST_SEED = 1000  # comparisons count from 0: what was tuned on is not what is compared on


def tune(config: StudyConfig, space: Space, stop: StopFlag) -> int:
    """Search each arm's settings; returns the exit code. Raises UserError before anything is written."""
    plan = plan_tuning(config, space)
    total = sum(len(rung) for rung in budget(plan, config.tune))
    print(announcement(plan, config.tune, total))
    if config.dry_run:
        return OK
    check_experiment(plan.name)
    with launching(config, plan) as launcher, hold(plan):
        queue = CellQueue(plan.path, launcher, stop, total)
        try:
            found = Search(plan, config.tune, read_space(plan.facts["space"]), queue).run()
        except AllFail as error:
            print(f"error: {error}", file=sys.stderr)
            return FAILED
        result = {"study": plan.name, "created": time.time(), "config": to_json(config), "arms": found}
        write_durably(plan.path / "tuned.json", json.dumps(result, indent=1).encode())
        sync_definition(plan.definition())
        sync_runs(plan.name, cells_in(plan))
    print(summary(plan, found))
    return OK


def plan_tuning(config: StudyConfig, space: Space) -> Plan:
    """The tuning study as asked for and as it stands. Raises UserError."""
    if not space:
        raise UserError(
            "nothing to tune: no SPACE; give a study file with one, such as experiments/studies/digits.py."
        )
    path = (config.studies / config.title).absolute()
    saved = read_plan(path)
    base = shared_settings(config, path, saved)
    chosen, first = said(config.endpoint, saved), base.eval
    base = replace(base, eval=replace(first, samplers=first.samplers[:1], guidances=first.guidances[:1],
                                      n=first.n[:1], sampling_seeds=1, every=0))  # fmt: skip
    base = scoring(base, [base.main_average])
    arms = as_saved(parse_arms(config.specs, base), config.specs, saved)
    resolved = resolve_arms(arms, base, path)
    text = searched(space, arms, saved)
    check_space(read_space(text), arms.values(), base, resolved[0].images)
    spent = {"tune": json.dumps(asdict(config.tune)), "space": text}
    plan = Plan(
        path, "tune", replace(base, device=resolved[0].config.device), arms,
        tuple(range(FIRST_SEED, FIRST_SEED + config.tune.seeds)), next(iter(arms)), config.margin, (),
        {**facts(resolved[0]), **spent}, config.tune.seeds, chosen=chosen,
    )  # fmt: skip
    plan = grow(saved, plan) if saved else plan
    check_endpoint(plan, config.endpoint.extractor, resolved[0].extractor)
    return plan


def searched(space: Space, arms: Mapping[str, Arm], saved: Plan | None) -> str:
    """Text of the space that is searched: as it is where a search was begun so, before there was `whole`.

    Raises UserError for what no arm has.
    """
    every = {**(saved.arms if saved else {}), **arms}
    typed, plain = space_text(typed_space(space, every.values())), space_text(space)
    return plain if saved and saved.facts.get("space") == plain else typed


def budget(plan: Plan, config: TuneConfig) -> list[range]:
    """Runs of each rung of each lot of all arms, as ranges; their lengths are what counts."""
    runs = []
    for first in range(0, config.trials, config.width):
        size = min(config.width, config.trials - first)
        for _ in rungs(plan, config):
            runs.append(range(size * len(plan.arms) * len(plan.seeds)))
            size = math.ceil(size / config.eta)
    return runs


def announcement(plan: Plan, config: TuneConfig, runs: int) -> str:
    """What is going to happen."""
    steps = ", ".join(map(str, rungs(plan, config)))
    return (
        f"tuning {plan.name}: {len(plan.arms)} arms ({', '.join(plan.arms)}), {config.trials} configurations "
        f"each, the default one included, in lots of {config.width}; rungs at steps {steps}; "
        f"{runs} times a run is taken to a rung"
    )


def summary(plan: Plan, found: Sequence[Mapping[str, Any]]) -> str:
    """What was found, and what to do with it."""
    lines = [
        f"{one['tuned']:<60} {'none ended' if one['value'] is None else format(one['value'], '.4g')}"
        f"  (trial {one['trial']} of {one['trials']}, {one['steps']} steps)"
        for one in found
    ]
    return "\n".join([
        *lines,
        "these scores chose the configurations, so they flatter them; on fresh seeds:",
        f"python -m experiments.study ablate --from-tuned {plan.name}",
    ])  # fmt: skip
