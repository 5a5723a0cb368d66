"""Tune each arm's settings; every arm trains equally many steps, on seeds that no comparison uses."""

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from experiments.cli.commands import python
from experiments.cli.main import FAILED, OK, SOME_FAILED, StopFlag
from experiments.config.canonical import scoring
from experiments.config.study import Space, StudyConfig, elsewhere
from experiments.config.text import to_json
from experiments.config.tuning import TuneConfig
from experiments.coordinator.ablate import hold, launching
from experiments.coordinator.arm import Arm, parse_arms
from experiments.coordinator.cell_queue import AllFail, CellQueue
from experiments.coordinator.copies.resync import cells_in, sync_definition, sync_runs
from experiments.coordinator.endpoint import check_endpoint, said
from experiments.coordinator.plan import Plan, grow, read_plan
from experiments.coordinator.plan_ablation import as_saved, facts, margin_of, resolve_arms, shared_settings
from experiments.coordinator.tuning.check_space import buildable, check_space, typed_space
from experiments.coordinator.tuning.drawing import WhyNot
from experiments.coordinator.tuning.search import ONCE, Search, drawings, rungs
from experiments.coordinator.tuning.space import read_space, space_text
from experiments.coordinator.tuning.tuned import Tuned, TunedArm, write_tuned
from experiments.datasets import Images
from experiments.records.mlflow_store import check_experiment
from rope_dit.errors import UserError, check

FIRST_SEED = 1000  # comparisons count from 0: what was tuned on is not what is compared on


def tune(config: StudyConfig, space: Space, stop: StopFlag) -> int:
    """Search each arm's settings; returns the exit code. Raises UserError before anything is written."""
    plan, spent, images = plan_tuning(config, space)
    total = sum(len(rung) for rung in budget(plan, spent))
    print(announcement(plan, spent, total, config.tune.trials))
    if config.dry_run:
        return OK
    check_experiment(plan.name)
    with launching(config, plan) as launcher, hold(plan) as plan:
        queue = CellQueue(plan.path, launcher, stop, total)
        why_not = buildable(plan.base, images)
        try:
            found = Search(plan, spent, read_space(plan.facts["space"]), why_not, queue).run()
        except AllFail as error:
            print(f"error: {error}", file=sys.stderr)
            return FAILED
        tuned = Tuned(study=plan.name, created=time.time(), config=to_json(config), arms=tuple(found))
        write_tuned(plan.path, tuned)
        sync_definition(plan.definition())
        sync_runs(plan.name, cells_in(plan))
    return conclude(plan, found)


def plan_tuning(config: StudyConfig, space: Space) -> tuple[Plan, TuneConfig, Images]:
    """The tuning study as asked for and as it stands, what is spent on it, its pictures. Raises UserError."""
    if not space:
        raise UserError(
            "nothing to tune: no SPACE; give a study file with one, such as experiments/studies/digits.py."
        )
    got = " ".join(config.replace)
    check(not got, "replace", got, "nothing: a tuning never trains a configuration again")
    for name in ("confirm", "looks", "secondary"):
        got = " ".join(map(str, getattr(config, name)))
        check(not got, name, got, "nothing: no verdicts are drawn from a tuning")
    path = (config.studies / config.title).absolute()
    saved = read_plan(path)
    base = shared_settings(config, path, saved)
    chosen, first = said(config.endpoint, saved), base.eval
    base = replace(base, eval=replace(first, samplers=first.samplers[:1], guidances=first.guidances[:1],
                                      n=first.n[:1], sampling_seeds=1, every=0, probes=(), token_grids=(),
                                      extrapolations=("none",)))  # fmt: skip
    base = scoring(base, [base.main_average])
    arms = as_saved(parse_arms(config.specs, base), config.specs, saved)
    resolved = next(iter(resolve_arms(arms, base, path, {}).values()))
    images = resolved.images
    text = searched(space, arms, saved)
    check_space(read_space(text), arms.values(), base, images)
    once = ONCE if saved is None or ONCE.items() <= saved.facts.items() else {}
    plan = Plan(
        path, "tune", replace(base, device=resolved.config.device), arms,
        tuple(range(FIRST_SEED, FIRST_SEED + config.tune.seeds)), next(iter(arms)), comparisons=(),
        facts={**facts(resolved), "space": text, **once}, planned_seeds=config.tune.seeds, chosen=chosen,
        **margin_of(config, saved),
    )  # fmt: skip
    every = {**(saved.arms if saved else {}), **arms}
    spent = affordable(replace(plan, arms=every), config.tune, read_space(text), buildable(plan.base, images))
    plan = replace(plan, facts={**plan.facts, "tune": json.dumps(asdict(spent))})
    plan = grow(saved, plan) if saved else plan
    check_endpoint(plan, config.endpoint.extractor, resolved.extractor)
    return plan, spent, images


def affordable(plan: Plan, config: TuneConfig, space: Space, why_not: WhyNot) -> TuneConfig:
    """What is spent: of each arm as many configurations as the arm with the fewest has, for none comes twice.

    Raises UserError where that is the default one alone.
    """
    if not ONCE.items() <= plan.facts.items():
        return config
    every = drawings(plan, plan.arms, space, why_not)
    counts = {label: drawing.distinct(config.trials) for label, drawing in every.items()}
    label = min(counts, key=lambda label: counts[label])
    if counts[label] == 1:
        raise UserError(
            f"nothing to tune: SPACE has no other configuration of arm {label} than the default one, and all "
            "arms get equally many; leave the arm out, or give it a setting in SPACE."
        )
    return replace(config, trials=counts[label])


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


def announcement(plan: Plan, config: TuneConfig, runs: int, asked: int) -> str:
    """What is going to happen.

    Args:
        plan: the tuning study.
        config: what is spent.
        runs: how often a run is taken to a rung.
        asked: configurations that were asked for, which may be more than there are.
    """
    steps = ", ".join(map(str, rungs(plan, config)))
    fewer = (
        f"SPACE has only {config.trials} configurations of some arm: every arm gets so many, not {asked}\n"
    )
    return (fewer if config.trials < asked else "") + (
        f"tuning {plan.name}: {len(plan.arms)} arms ({', '.join(plan.arms)}), {config.trials} configurations "
        f"each, the default one included, in lots of {config.width}; rungs at steps {steps}; "
        f"{runs} times a run is taken to a rung"
    )


def conclude(plan: Plan, found: Sequence[TunedArm]) -> int:
    """Say what was found, and what to do with it; returns the exit code."""
    for one in found:
        end = "none came to its end" if one.value is None else format(one.value, ".4g")
        refused = f"; {one.refused} more were drawn that cannot be" if one.refused else ""
        print(f"{one.tuned:<60} {end}  (trial {one.trial} of {one.trials}, {one.steps} steps{refused})")
    failed = [one.default.partition("=")[0] for one in found if one.value is None]
    if failed:
        print(f"no configuration came to its end of: {', '.join(failed)}", file=sys.stderr)
    if len(failed) == len(found):
        return FAILED
    print("these scores chose the configurations, so they flatter them; on fresh seeds:")
    print(python("experiments.study", "ablate", "--from-tuned", plan.name, *elsewhere(plan.path.parent)))
    return SOME_FAILED if failed else OK
