"""Score a finished run again, without training: other samplers, guidances, numbers of pictures, extractors.

Example: python -m experiments.evaluate runs/rope2d-s0-1f00c4d2 --samplers rk4:steps=12 dopri5 --guidances 1 2
Scores that are there already are not made again; new ones are added to the same MLflow run.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from experiments.cli import OK, StopFlag, main, parse
from experiments.finished import open_run, read_config
from experiments.runfolder import RunFolder


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """What to score; fields left out are as in the run."""

    run: Annotated[Path, tyro.conf.Positional]
    """run folder"""
    samplers: tuple[str, ...] = ()
    """sampler specs"""
    guidances: Annotated[tuple[float, ...], tyro.conf.arg(aliases=["--guidance"])] = ()
    """guidance weights"""
    guidance_interval: tuple[float, float] | None = None
    """times between which guidance acts"""
    n: tuple[int, ...] = ()
    """pictures a score is made of"""
    sampling_seeds: int | None = None
    """how often, with other noise"""
    extractor: str | None = None
    """inception | digits | cifar10 | PATH"""
    inception_weights: Path | None = None
    """file with the FID paper's Inception weights"""


def command(args: list[str], stop: StopFlag) -> int:
    """Score and track; returns the exit code."""
    wanted = parse(EvaluateConfig, None, args, "python -m experiments.evaluate", __doc__)
    config = read_config(wanted.run)
    given = {k: v for k, v in vars(wanted).items() if k != "run" and v not in ((), None)}
    from experiments.execute import tags
    from experiments.scoring import final_jobs
    from experiments.summary import summary
    from experiments.tracking import Mirror

    evaluation = replace(config.eval, **given)
    replace(config, eval=evaluation)  # checks that the model can be guided, if it is to be
    with RunFolder(wanted.run).lock():
        resolved, scorer, step = open_run(wanted.run, evaluation, stop)
        resolved.folder.open_metrics(step)
        mirror = Mirror(resolved.folder, config.study, tags(resolved))
        try:
            scorer.score(step, final_jobs(evaluation))
            scorer.clean()
        finally:
            mirror.close("FINISHED", "finished")  # which the training is, whatever became of this
    print(summary(resolved.folder, mirror))
    return OK


if __name__ == "__main__":
    main(command)
