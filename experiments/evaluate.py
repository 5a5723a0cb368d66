"""Score a finished run again, without training: other samplers, guidances, probes, token grids, extractors.

Scores that are there already are not made again; new ones are added to the same MLflow run.

  python -m experiments.evaluate runs/rope2d-s0-1f00c4d2 --samplers rk4:steps=12 dopri5 --guidances 1 2
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from experiments.cli.arguments import parse
from experiments.cli.main import OK, StopFlag, main
from experiments.config.run import EXTRACTOR_HELP, PathOrNone, RunConfig
from experiments.records.mlflow_store import check_experiment, tracking_uri
from experiments.records.paths import located
from experiments.runner.reopen import Pictures, open_run, read_config
from experiments.scoring.jobs import final_work, said_left_out

if TYPE_CHECKING:
    from experiments.scoring.score import Scorer


def _as_run(metavar: str, *aliases: str, about: str | None = None) -> Any:
    """How the help shows a field that is as in the run where it is left out."""
    hint = "(default: as in the run)"
    return tyro.conf.arg(metavar=metavar, aliases=aliases, help=about, help_behavior_hint=hint)


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """What to score; fields left out are as in the run."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """run folder"""
    samplers: Annotated[tuple[str, ...], _as_run("SPEC ...")] = ()
    """sampler specs"""
    guidances: Annotated[tuple[str, ...], _as_run("SPEC ...", "--guidance")] = ()
    """guidance specs, such as cfg:weight=3,begin=0.2; a number is the weight of cfg"""
    averages: Annotated[tuple[str, ...], _as_run("SPEC ...")] = ()
    """averages of the weights, of those that the run kept, or raw"""
    probes: Annotated[tuple[str, ...], _as_run("SPEC ...")] = ()
    """what is measured of the network itself"""
    token_grids: Annotated[tuple[str, ...], _as_run("HxW ...")] = ()
    """other grids of tokens, such as 12x12"""
    extrapolations: Annotated[tuple[str, ...], _as_run("SPEC ...")] = ()
    """what is done on those grids about places beyond the trained ones; or all"""
    n: Annotated[tuple[int, ...], _as_run("INT ...")] = ()
    """pictures a score is made of"""
    sampling_seeds: Annotated[int | None, _as_run("INT")] = None
    """how often, with other noise"""
    extractor: Annotated[str | None, _as_run("NAME", about=EXTRACTOR_HELP)] = None
    inception_weights: Annotated[Path | None, _as_run("PATH")] = None
    """file with the FID paper's Inception weights"""
    plugins: PathOrNone = None
    """folder of your own files, where the run was made with one"""
    data: Pictures = field(default_factory=Pictures)


def command(args: list[str], stop: StopFlag) -> int:
    """Score and track; returns the exit code."""
    wanted = parse(EvaluateConfig, None, args, "python -m experiments.evaluate", __doc__)
    tracking_uri()
    own = config = read_config(wanted.run, wanted.data)
    given = {
        k: v for k, v in vars(wanted).items() if k not in ("run", "plugins", "data") and v not in ((), None)
    }
    if wanted.extractor and wanted.extractor != config.eval.extractor:  # the run's weights are the other's
        given = {"inception_weights": None, **given}
    config = located(replace(config, eval=replace(config.eval, **given)))
    from experiments.records.mlflow_mirror import Mirror
    from experiments.runner.execute import make_scorer
    from experiments.runner.record import ending_after
    from experiments.runner.summary import summary

    check_experiment(config.study)
    resolved, training = open_run(config)
    scorer, work = make_scorer(resolved, stop), final_work(resolved.config)
    for line in said_left_out(resolved.config):
        print(line)
    with resolved.folder.lock():
        resolved.folder.open_metrics(training.step, training.logged)
        if not scorer.undone(training.step, work):
            print(f"{wanted.run} has all these scores; nothing to do.")
        mirror = Mirror(resolved.folder, config.study)
        try:
            scorer.finish(training.step, work, training.profiles())
        finally:
            ending = ending_after(resolved.folder, is_complete(own, config, scorer, training.step))
            mirror.close(ending.status, ending.outcome)
    print(summary(resolved.folder, mirror))
    return OK


def is_complete(own: RunConfig, config: RunConfig, scorer: "Scorer", step: int) -> bool:
    """Whether the run has all final scores of its own settings; known where its own extractor was used."""
    names = ("extractor", "inception_weights")
    same = all(getattr(own.eval, name) == getattr(config.eval, name) for name in names)
    return same and not scorer.undone(step, final_work(own))


if __name__ == "__main__":
    main(command)
