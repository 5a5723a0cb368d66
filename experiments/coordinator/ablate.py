"""Carry out a study: arms x seeds, each run scored under every sampler, then the report."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from experiments.cli.commands import typed
from experiments.cli.main import FAILED, OK, SOME_FAILED, StopFlag, one_line
from experiments.config.study import StudyConfig
from experiments.coordinator import replacing
from experiments.coordinator.cell import FINAL, Cell
from experiments.coordinator.cell_queue import AllFail, CellQueue, Watch
from experiments.coordinator.copies.resync import sync_definition, sync_runs
from experiments.coordinator.copies.weights import lacking_metrics
from experiments.coordinator.launchers import Launcher, make_launcher
from experiments.coordinator.plan import Plan
from experiments.coordinator.plan_ablation import plan_ablation
from experiments.coordinator.seals import counted, joined, seal_runs
from experiments.coordinator.sharp import profile
from experiments.coordinator.trials.optuna_storage import database_url
from experiments.coordinator.trials.optuna_trials import Trials
from experiments.records.mlflow_store import check_experiment, pages, tracking_uri
from experiments.records.run_folder import RunFolder
from experiments.records.sealing.chain import head, moment
from experiments.runner.dry_run import estimated_seconds
from experiments.scoring.jobs import said_left_out
from rope_dit.errors import Stopped
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.words import listed

GRACE_SECONDS = 60.0  # for a last checkpoint after a signal


WriteReport = Callable[[str, str | None, Path], Path]
"""name of a study, address of the store, folder of reports -> the report's page"""


def ablate(config: StudyConfig, stop: StopFlag, write_report: WriteReport) -> int:
    """Carry out a study, from wherever an earlier coordinator left it; returns the exit code.

    Args:
        config: what is asked for.
        stop: asked all the time.
        write_report: called at the end; handed in, as the harness knows of no reports.

    Raises:
        UserError: before anything is written.
    """
    asked, (config, waits) = config, profile.prepared(config)
    plan, resolved = plan_ablation(config)
    cells, todo = plan.cells(), unfinished(plan)
    minutes = len(todo) * sum(estimated_seconds(resolved)) / 60 if todo else 0.0
    print(announcement(plan, len(cells), len(todo), minutes))
    for line in (*lacking_metrics(cells), *lacking_forms(plan)):
        print(line)
    for one in plan.replaced[-len(config.replace) :] if config.replace else ():
        print(replacing.said(one))
    if config.dry_run:
        return OK
    check_experiment(plan.name)
    first, *later = stages(plan)
    with launching(config, plan) as launcher, hold(first) as plan:
        if todo:
            at_once = min(launcher.slots, len(todo))
            print(f"up to {at_once} at a time: about {minutes / at_once:.0f} minutes at best", flush=True)
        if plan.chain:
            print(f"sealed as planned {moment(plan.chain[0].time)}, head {head(plan.chain)[:12]}", flush=True)
        if waits:
            profile.measured(plan, launcher, stop)
            config, _ = profile.prepared(asked)
            first, *later = stages(plan_ablation(config)[0])
            plan = begun(first)
        code = carry_out(plan, config, launcher, stop, write_report)
        for stage in later:
            if code == FAILED:
                break
            code = carry_out(begun(stage), config, launcher, stop, write_report)
        return code


def lacking_forms(plan: Plan) -> list[str]:
    """A line for each arm that leaves out extrapolations of other grids of tokens."""
    return [
        line for cell in plan.cells() if cell.seed == plan.seeds[0] for line in said_left_out(cell.config)
    ]


def stages(plan: Plan) -> list[Plan]:
    """The plan with the seeds of each planned look that is still to come, and at last with all."""
    looked = plan.looks[-1].seeds if plan.looks else 0
    counts = [n for n in plan.planned_looks if looked < n < len(plan.seeds)]
    return [replace(plan, seeds=plan.seeds[:n]) for n in (*counts, len(plan.seeds))]


def carry_out(
    plan: Plan, config: StudyConfig, launcher: Launcher, stop: StopFlag, write_report: WriteReport
) -> int:
    """Do what is missing of a study that is held, then its report; returns the exit code."""
    cells, todo = plan.cells(), unfinished(plan)
    url = sync_definition(plan.definition())
    trials = Trials(plan.path, plan.name, cells, plan.endpoint(), todo)
    watch = Watch(trials.start, trials.end)
    queue = CellQueue(plan.path, launcher, stop, len(cells), len(cells) - len(todo), watch)
    try:
        queue.carry_out(todo)
    except AllFail as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    for line in failures_by_arm(todo, queue.failures):
        print(line, file=sys.stderr)
    if not any(cell.folder.record for cell in cells):
        print("error: no run of the study has begun, so there is nothing to report.", file=sys.stderr)
        return FAILED
    return finish(plan, config, url, write_report)


def unfinished(plan: Plan) -> list[Cell]:
    """Cells that a process has to begin or to go on with."""
    return [c for c in plan.cells() if c.state() not in FINAL or replacing.is_aside(plan, c)]


def announcement(plan: Plan, runs: int, todo: int, minutes: float) -> str:
    """What is going to happen, said before the first run.

    Args:
        plan: the study.
        runs: all of its runs, of which `todo` are still to be done.
        minutes: what those take one after the other.
    """
    end = plan.endpoint()
    arms, seeds = ", ".join(plan.arms), f"{plan.seeds[0]}-{plan.seeds[-1]}"
    lines = [
        f"study {plan.name}: {len(plan.arms)} arms ({arms}), seeds {seeds}, baseline {plan.baseline}",
        f"primary endpoint: {end.metric} ({end.better} is better), sampler {end.sampler}, guidance "
        f"{GuidanceSpec.parse(end.guidance).short}, EMA {end.ema}, n = {end.n}, step {end.train_step}"
        + (f", mean of {end.samplings} samplings" if end.samplings > 1 else "")
        + f"; margin {plan.definition().margin_text}",
        f"{runs} runs, {runs - todo} of them done",
    ]
    if plan.planned_looks:
        lines.insert(2, f"verdicts at {listed(map(str, plan.planned_looks))} seeds, as planned")
    if plan.best_guidance:
        choices = f"the best of {len(plan.best_guidance)} choices of guidance and average"
        lines.insert(2, f"secondary endpoint: each arm at {choices}, without a verdict")
    return "\n".join(lines) + (f"; about {minutes:.0f} minutes of work" if todo else "")


def failures_by_arm(cells: Sequence[Cell], failures: Mapping[str, str]) -> list[str]:
    """One line for each arm of which runs failed or diverged, with the reason of the first.

    Args:
        cells: what was worked on.
        failures: what became of cells and why, by their name.
    """
    lines = []
    for label in dict.fromkeys(cell.arm for cell in cells):
        of_arm = [cell.name for cell in cells if cell.arm == label]
        whys = [failures[name] for name in of_arm if name in failures]
        if whys:
            lines.append(
                one_line(f"arm {label}: {len(whys)} of {len(of_arm)} runs did not end well: {whys[0]}")
            )
    return lines


@contextlib.contextmanager
def hold(plan: Plan) -> Iterator[Plan]:
    """Hold the study alone, and write down what it is.

    It gives the plan as it stands now: another process may have had the study, and grown it or looked at it,
    since it was read.
    """
    plan.path.mkdir(parents=True, exist_ok=True)
    with RunFolder(plan.path).lock():
        yield begun(plan)


def begun(asked: Plan) -> Plan:
    """Join what is asked for with a study that is held, and write down what it is now."""
    plan = joined(asked)
    plan.save()
    replacing.set_aside(plan)
    return plan


@contextlib.contextmanager
def launching(config: StudyConfig, plan: Plan) -> Iterator[Launcher]:
    """A launcher whose processes have stopped when the block is left."""
    launcher = make_launcher(config.launch, plan.base.train.threads, plan.base.device)
    try:
        yield launcher
    except (Stopped, KeyboardInterrupt):
        print("stopping at the next checkpoints", file=sys.stderr)
        raise
    finally:
        launcher.stop(GRACE_SECONDS)


def finish(plan: Plan, config: StudyConfig, url: str, write_report: WriteReport) -> int:
    """Note the look, bring MLflow and Optuna in step, write the report; returns the exit code."""
    cells, plan = plan.cells(), counted(plan)
    states = [cell.state() for cell in cells]
    plan.save()
    seal_runs(plan)
    sync_runs(plan.name, cells)
    url = sync_definition(plan.definition()) or url
    trials = Trials(plan.path, plan.name, cells, plan.endpoint())  # in the cells' order, whoever was first
    report = write_report(plan.name, None, config.reports)
    print(f"report      {report}")
    print(f"MLflow      {pages(tracking_uri(), url)}")
    if trials.works:
        print(f"Optuna      {typed('optuna-dashboard', database_url(plan.path))}")
    return OK if all(state == "done" for state in states) else SOME_FAILED
