"""Speed of training, sampling and scoring, and the share of the machine's own matrix-multiply rate.

Example: python -m experiments.bench --preset cifar10
Everything is timed in turn, round after round, so that a machine that slows down slows all of it; the table
gives medians and spreads. Pictures are made up: speed does not depend on them, and nothing is downloaded.
"""

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Literal

from experiments.cli.arguments import parse
from experiments.cli.main import OK, StopFlag, main
from experiments.cli.plugins import plugin_errors
from experiments.config.presets import preset
from experiments.config.run import PathOrNone
from rope_dit.config import check

if TYPE_CHECKING:
    from experiments.benchmark.workloads import Work

Seconds = list[list[float]]


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """What to measure."""

    preset: str = "cifar10"
    """smoke | digits | cifar10 | original | cifar10-large"""
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
    import torch

    from experiments.benchmark import workloads
    from experiments.runner.dry_run import forward_flops, wait_for
    from experiments.runner.resolve import device_text

    config = preset(wanted.preset)
    train = replace(config.train, precision=wanted.precision, compile=wanted.compile,
                    batch=wanted.batch or config.train.batch)  # fmt: skip
    config = replace(config, variant=wanted.variant, train=train, device=wanted.device)
    shape = (1, 8, 8) if config.data.name == "digits" else (3, 32, 32)
    with tempfile.TemporaryDirectory() as folder:
        resolved = workloads.made_up(config, shape, Path(folder))
        with plugin_errors():
            train, flops = resolved.config.train, forward_flops(resolved)
        rates = workloads.matmul_rates(resolved)
        works, harness = workloads.training(resolved, wanted.steps, 3 * flops)
        works += [workloads.sampling(resolved, flops), workloads.scoring(resolved)]
        seconds: Seconds = [[] for _ in works]
        for number in range(wanted.rounds + 1):  # the first is not counted
            for work, times in zip(works, seconds, strict=True):
                wait_for(resolved.device)
                begun = time.perf_counter()
                work.run()
                wait_for(resolved.device)
                times += [time.perf_counter() - begun] if number else []
        harness.mirror.close("FINISHED", "finished")
    head = (
        f"preset {wanted.preset}, {wanted.variant}, batch {train.batch}, {train.precision}, "
        f"compile {train.compile}, {device_text(resolved.device)}, torch {torch.__version__}\n"
        f"{flops / 1e6:.1f} MFLOP a picture forward; matrix products at the model's shapes: "
        + ", ".join(f"{rate / 1e9:.0f} GFLOP/s {name}" for name, rate in rates.items())
    )
    return "\n".join(
        [head, *rows(works, seconds, rates[train.precision]), *ratios(works, seconds, train.save_seconds)]
    )


def rows(works: "list[Work]", seconds: Seconds, matmul: float) -> list[str]:
    """One line a work: its rate, the spread over rounds, and the share of the matrix-multiply rate."""
    lines = [f"{'':<26}{'median /s':>11}{'min':>9}{'max':>9}{'GFLOP/s':>10}{'of matmul':>11}"]
    for work, times in zip(works, seconds, strict=True):
        per_second = sorted(work.pictures / t for t in times)
        line = f"{work.name:<26}{median(per_second):>11.1f}{per_second[0]:>9.1f}{per_second[-1]:>9.1f}"
        if work.flops:
            reached = median(per_second) * work.flops
            line += f"{reached / 1e9:>10.1f}{reached / matmul:>11.0%}"
        lines.append(line)
    return lines


def ratios(works: "list[Work]", seconds: Seconds, save_seconds: float) -> list[str]:
    """What has a target, round by round: speed against plain eager code, harness against bare loop."""
    times = {work.name: t for work, t in zip(works, seconds, strict=True)}

    def ratio(a: list[float], b: list[float]) -> str:
        quotients = sorted(x / y for x, y in zip(a, b, strict=True))
        return f"{median(quotients):.3f} ({quotients[0]:.3f} to {quotients[-1]:.3f})"

    plain = min((times[f"plain eager DiT, {name}"] for name in ("fp32", "bf16")), key=median)
    saving = median(times["saving a checkpoint"]) / max(save_seconds, 1e-9)
    harness = ratio(times["training in the harness"], times["training step"])
    return [
        f"speed against the better plain eager DiT:  {ratio(plain, times['training step'])}",
        f"time in the harness against the bare loop: {harness}, "
        f"and {saving:.1%} for a checkpoint every {save_seconds:g} s",
    ]


if __name__ == "__main__":
    main(command)
