"""Compare solvers on a finished run, at equal numbers of network evaluations.

Writes for each solver and each number of evaluations the root-mean-square distance of its pictures to the
exact solution from the same noise (rk4 at 1,000 steps), in units of pixels in [-1, 1], and the scores of its
pictures. Adaptive solvers come with three tolerances; stochastic ones have scores alone.

  python -m experiments.convergence runs/rope2d-s0-1f00c4d2 --out analysis/results/solvers/points.csv
  python -m analysis.figures.apart.convergence analysis/results/solvers/points.csv --out docs/solvers.png
"""

import csv
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro

from experiments.cli.arguments import parse
from experiments.cli.main import OK, StopFlag, main
from experiments.cli.outputs import check_folder
from experiments.config.run import PathOrNone
from experiments.records.score import sampling_seeds
from experiments.runner.reopen import Pictures, open_run, read_config
from rope_dit.errors import UserError, check
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.registry import SOLVERS


@dataclass(frozen=True, kw_only=True)
class ConvergenceConfig:
    """What to compare."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """run folder"""
    out: Path
    """CSV to write"""
    solvers: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="SPEC ...", help_behavior_hint="(default: all)")
    ] = ()
    """solvers, with options or time grids where wanted, but without steps"""
    nfe: Annotated[tuple[int, ...], tyro.conf.arg(metavar="INT ...")] = (4, 8, 16, 32, 64)
    """network evaluations a picture"""
    tolerances: Annotated[tuple[float, ...], tyro.conf.arg(metavar="FLOAT ...")] = (1e-2, 1e-3, 1e-4)
    """of adaptive solvers"""
    guidance: str = "cfg:weight=1"
    """guidance spec; a guided evaluation counts as its passes"""
    n: int = 1000
    """pictures that scores are made of"""
    plugins: PathOrNone = None
    """folder of your own files, where the run was made with one"""
    data: Pictures = field(default_factory=Pictures)

    def __post_init__(self) -> None:
        check(2 <= self.n <= 10**8, "n", self.n, "2 to 100,000,000")
        check(all(nfe >= 1 for nfe in self.nfe), "nfe", " ".join(map(str, self.nfe)), "numbers of at least 1")
        check_folder(self.out.parent, "--out")


def command(args: list[str], stop: StopFlag) -> int:
    """Sample, measure and write; returns the exit code."""
    wanted = parse(ConvergenceConfig, None, args, "python -m experiments.convergence", __doc__)
    config, guidance = read_config(wanted.run, wanted.data), GuidanceSpec.parse(wanted.guidance)
    from experiments.runner.execute import make_scorer
    from experiments.scoring.apart.convergence import at_equal_cost, converge

    samplers = at_equal_cost(wanted.solvers or SOLVERS.names(), wanted.nfe, wanted.tolerances)
    if not samplers:
        nfe = " ".join(map(str, wanted.nfe))
        raise UserError(
            f"nfe got {nfe}: none of these solvers has steps of so many evaluations; see --list samplers."
        )
    config = replace(config, eval=replace(config.eval, guidances=(wanted.guidance,)))  # checks that it fits
    resolved, training = open_run(config)
    scorer = make_scorer(resolved, stop)
    scorer.prepare()
    sampling_seed = sampling_seeds(config.seed, 1, fixed=config.eval.fixed_noise)[0]
    scorer.generator.load_for(guidance, config.main_average, training.profiles(), training.step)
    wanted.out.parent.mkdir(parents=True, exist_ok=True)
    with wanted.out.open("w", newline="") as file:
        writer = None
        for point in converge(scorer, samplers, guidance, wanted.n, sampling_seed):
            names = {f"{name}_{scorer.extractor.name}": value for name, value in point.values.items()}
            row = {"solver": point.sampler.family, "sampler": str(point.sampler), "nfe": f"{point.nfe:g}",
                   "rms": f"{point.distance:.4g}", "n": wanted.n,
                   **{name: f"{value:.4g}" for name, value in names.items()}}  # fmt: skip
            writer = writer or _started(csv.DictWriter(file, list(row), lineterminator="\n"))
            writer.writerow(row)
            file.flush()
    print(f"{len(samplers)} samplers in {wanted.out}")
    return OK


def _started(writer: "csv.DictWriter[str]") -> "csv.DictWriter[str]":
    writer.writeheader()
    return writer


if __name__ == "__main__":
    main(command)
