"""Speed of training, sampling and scoring, and the share of the machine's own matrix-multiply rate.

Examples: python -m experiments.bench --preset cifar10
          python -m experiments.bench --preset digits --variants all --out costs.csv
Everything is timed in turn, round after round, so that a machine that slows down slows all of it; the table
gives medians and spreads. Pictures are made up: speed does not depend on them, and nothing is downloaded.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import tyro

from experiments.cli.arguments import parse
from experiments.cli.main import OK, StopFlag, main
from experiments.config.presets import PRESETS, preset
from experiments.config.run import PathOrNone, RunConfig
from rope_dit.errors import check
from rope_dit.registry import POS_EMBEDS


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """What to measure."""

    preset: Annotated[str, tyro.conf.arg(help=" | ".join(PRESETS))] = "cifar10"
    variant: str = "rope2d"
    """positional embedding"""
    variants: Annotated[tuple[str, ...], tyro.conf.arg(metavar="SPEC ...")] = ()
    """time training steps of these against the first instead, and nothing else; all: none and every other"""
    out: PathOrNone = None
    """CSV for the table of --variants"""
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
        check(
            not self.out or bool(self.variants),
            "out",
            str(self.out),
            "--variants beside it, whose table it holds",
        )
        check(self.batch >= 0 and self.steps >= 0, "batch and steps", (self.batch, self.steps), "0 or more")


def command(args: list[str], stop: StopFlag) -> int:
    """Measure and print; returns the exit code."""
    print(bench(parse(BenchConfig, BenchConfig(), args, "python -m experiments.bench", __doc__)))
    return OK


def bench(wanted: BenchConfig) -> str:
    """Time everything and return the table."""
    config = preset(wanted.preset)
    train = replace(config.train, precision=wanted.precision, compile=wanted.compile,
                    batch=wanted.batch or config.train.batch)  # fmt: skip
    config = replace(config, variant=wanted.variant, train=train, device=wanted.device)
    if wanted.variants:
        return _of_variants(config, wanted)
    from experiments.benchmark.measure import measure

    return measure(config, wanted.rounds, wanted.steps)


def _of_variants(config: RunConfig, wanted: BenchConfig) -> str:
    """Time training steps of variants against the first; return the table, and write it where wanted."""
    everything = ["none", *(name for name in POS_EMBEDS.names() if name != "none")]
    chosen = everything if wanted.variants == ("all",) else [POS_EMBEDS.canonical(v) for v in wanted.variants]
    from experiments.benchmark.variants import compare, table, text, write

    what, costs = compare(config, chosen, wanted.rounds, wanted.steps or 10)
    rows = table(costs)
    if wanted.out:
        write(wanted.out, rows, what)
    return f"{what}\n{text(rows)}"


if __name__ == "__main__":
    main(command)
