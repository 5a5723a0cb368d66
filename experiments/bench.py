"""Speed of training, sampling and scoring, and the share of the machine's own matrix-multiply rate.

Example: python -m experiments.bench --preset cifar10
Everything is timed in turn, round after round, so that a machine that slows down slows all of it; the table
gives medians and spreads. Pictures are made up: speed does not depend on them, and nothing is downloaded.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import tyro

from experiments.cli.arguments import parse
from experiments.cli.main import OK, StopFlag, main
from experiments.config.presets import PRESETS, preset
from experiments.config.run import PathOrNone
from rope_dit.errors import check


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """What to measure."""

    preset: Annotated[str, tyro.conf.arg(help=" | ".join(PRESETS))] = "cifar10"
    variant: str = "rope2d"
    """positional embedding"""
    batch: int = 0
    """pictures a step; 0: the preset's"""
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    """where"""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """as train.precision"""
    compile: Literal["auto", "off", "on", "graphs"] = "auto"
    """as train.compile"""
    rounds: int = 7
    """how often each thing is timed, in turn"""
    steps: int = 0
    """training steps timed at a time; 0: as many as take about a second"""
    plugins: PathOrNone = None
    """folder of your own files that register variants"""

    def __post_init__(self) -> None:
        preset(self.preset)
        check(self.rounds >= 1, "rounds", self.rounds, "at least 1")
        check(self.batch >= 0 and self.steps >= 0, "batch and steps", (self.batch, self.steps), "0 or more")


def command(args: list[str], stop: StopFlag) -> int:
    """Measure and print; returns the exit code."""
    print(bench(parse(BenchConfig, BenchConfig(), args, "python -m experiments.bench", __doc__)))
    return OK


def bench(wanted: BenchConfig) -> str:
    """Time everything and return the table."""
    from experiments.benchmark.measure import measure

    config = preset(wanted.preset)
    train = replace(config.train, precision=wanted.precision, compile=wanted.compile,
                    batch=wanted.batch or config.train.batch)  # fmt: skip
    config = replace(config, variant=wanted.variant, train=train, device=wanted.device)
    return measure(config, wanted.rounds, wanted.steps)


if __name__ == "__main__":
    main(command)
