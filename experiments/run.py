"""Train one arm with one seed, sample, score and track it.

Started again, the same command goes on where it was stopped; a finished run says so and does nothing.

  python -m experiments.run --variant rope2d --preset digits --train.lr 1e-3
  python -m experiments.run --preset cifar10 --help     the options, with that preset's defaults
  torchrun --nproc-per-node 4 -m experiments.run --preset cifar10     one run over four GPUs
  python -m experiments.run --list [KIND]               what there is, of one kind or all
"""

from experiments.cli.arguments import parse, take
from experiments.cli.main import StopFlag, main
from experiments.config.presets import preset
from experiments.config.run import RunConfig
from experiments.records.paths import located
from experiments.runner import torchrun
from experiments.runner.run import run


def command(args: list[str], stop: StopFlag) -> int:
    """Read the command line and carry out the run; returns the exit code."""

    def carry_out() -> int:
        name = take(args, "preset")
        default = preset("digits" if name is None else name)
        config = located(parse(RunConfig, default, args, "python -m experiments.run", __doc__))
        return run(config, stop) if torchrun.alone() else torchrun.run_together(config, stop)

    return carry_out() if torchrun.leads() else torchrun.follow(carry_out, stop)


if __name__ == "__main__":
    main(command)
