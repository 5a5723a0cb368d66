"""What positional embeddings cost: a training step of each, timed in turn in one process."""

import csv
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch

from experiments.benchmark.workloads import BareLoop, made_up, picture_shape
from experiments.cli.plugins import plugin_errors
from experiments.cli.progress import Progress
from experiments.config.run import RunConfig
from experiments.runner.dry_run import wait_for
from experiments.runner.execute import make_batches
from experiments.runner.resolve import Resolved, device_text

MIB = 2**20


@dataclass(frozen=True)
class Cost:
    """Of one variant: its own weights, seconds a step in each round, and MiB of the device at most.

    Memory is known on CUDA only, as nan elsewhere: a process has one peak, whatever it trains.
    """

    variant: str
    parameters: int
    seconds: Sequence[float]
    memory_mib: float


def compare(config: RunConfig, variants: Sequence[str], rounds: int, steps: int) -> tuple[str, list[Cost]]:
    """Time `steps` training steps of each variant, round after round; returns what was timed, and costs.

    Args:
        config: of a run; its pictures are made up, its variant does not matter.
        variants: specs.
        rounds: how often each is timed; one round more comes before and does not count.
        steps: training steps timed at a time.
    """
    # one function is compiled for each variant, and past a limit torch would go on uncompiled
    many = torch._dynamo.config.patch(recompile_limit=10**6, accumulated_recompile_limit=10**6)
    with tempfile.TemporaryDirectory() as folder, many:
        loops, sizes, memory = [], [], []
        bar = Progress("first steps", len(variants), "variant")
        for variant in variants:
            resolved, loop = _prepared(replace(config, variant=variant), Path(folder), steps)
            loops.append(loop)
            sizes.append(sum(p.numel() for p in resolved.build_model().pos_embed.parameters()))
            memory.append(_peak_mib(resolved.device, loop))
            bar.update(len(loops))
        bar.close()
        seconds: list[list[float]] = [[] for _ in variants]
        for number in range(rounds + 1):
            for loop, times in zip(loops, seconds, strict=True):
                wait_for(resolved.device)
                begun = time.perf_counter()
                loop()
                wait_for(resolved.device)
                times += [(time.perf_counter() - begun) / steps] if number else []
    train = resolved.config.train
    what = (
        f"preset {config.preset}, batch {train.batch}, {train.precision}, compile {train.compile}, "
        f"{device_text(resolved.device)}, torch {torch.__version__}; {rounds} rounds of {steps} steps"
    )
    return what, [Cost(*each) for each in zip(variants, sizes, seconds, memory, strict=True)]


def _prepared(config: RunConfig, folder: Path, steps: int) -> tuple[Resolved, BareLoop]:
    with plugin_errors():
        resolved = made_up(config, picture_shape(config), folder)
        return resolved, BareLoop(resolved, make_batches(resolved), steps)


def _peak_mib(device: torch.device, loop: BareLoop) -> float:
    """MiB at most in the first steps, in which compiled code is made too."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    loop()
    return (torch.cuda.max_memory_allocated(device) - before) / MIB if device.type == "cuda" else float("nan")


def ratios(cost: Cost, reference: Cost) -> list[float]:
    """Time of a step over that of the reference, round by round, sorted."""
    return sorted(a / b for a, b in zip(cost.seconds, reference.seconds, strict=True))


def table(costs: Sequence[Cost]) -> list[dict[str, str]]:
    """One row a variant, in the order given; ratios are against the first."""
    rows = []
    for cost in costs:
        relative = ratios(cost, costs[0])
        rows.append(
            {
                "variant": cost.variant,
                "parameters": str(cost.parameters),
                "ms_a_step": f"{1000 * median(cost.seconds):.3f}",
                "ratio": f"{median(relative):.3f}",
                "ratio_min": f"{relative[0]:.3f}",
                "ratio_max": f"{relative[-1]:.3f}",
                "memory_mib": f"{cost.memory_mib:.1f}",
            }
        )
    return rows


def text(rows: Sequence[dict[str, str]]) -> str:
    """Write the table for a terminal."""
    heads = list(rows[0])
    widths = [max(len(row[head]) for row in [dict(zip(heads, heads, strict=True)), *rows]) for head in heads]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return "  ".join([f"{first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in others)])

    return "\n".join([line(heads), *(line(list(row.values())) for row in rows)])


def write(path: Path, rows: Sequence[dict[str, str]], what: str) -> None:
    """Write the rows as CSV, with what was timed in a column of its own."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "timed"], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "timed": what} for row in rows)
