"""Timing of all workloads in turn, and the table of what came out."""

import tempfile
import time
from pathlib import Path
from statistics import median

import torch

from experiments.benchmark import workloads
from experiments.benchmark.dispatched import dispatched_per_step
from experiments.benchmark.workloads import Workload
from experiments.cli.plugins import plugin_errors
from experiments.config.run import RunConfig
from experiments.runner.dry_run import forward_flops, wait_for
from experiments.runner.resolve import device_text

Seconds = list[list[float]]


def measure(config: RunConfig, rounds: int, steps: int) -> str:
    """Time everything and return the table.

    Args:
        config: of a run; its pictures are made up.
        rounds: how often each thing is timed.
        steps: training steps timed at a time; 0: as many as take about a second.
    """
    with tempfile.TemporaryDirectory() as folder:
        resolved = workloads.made_up(config, workloads.picture_shape(config), Path(folder))
        with plugin_errors():
            train, flops = resolved.config.train, forward_flops(resolved)
        rates = workloads.matmul_rates(resolved)
        timed, harness = workloads.training(resolved, steps, 3 * flops)
        timed += [workloads.sampling(resolved, flops), workloads.scoring(resolved)]
        seconds: Seconds = [[] for _ in timed]
        for number in range(rounds + 1):  # the first is not counted
            for workload, times in zip(timed, seconds, strict=True):
                wait_for(resolved.device)
                begun = time.perf_counter()
                workload.run()
                wait_for(resolved.device)
                times += [time.perf_counter() - begun] if number else []
        harness.mirror.close("FINISHED", "finished")
        operations = dispatched_per_step(resolved)
    head = (
        f"preset {config.preset}, {config.variant}, batch {train.batch}, {train.precision}, "
        f"compile {train.compile}, {device_text(resolved.device)}, torch {torch.__version__}\n"
        f"{flops / 1e6:.1f} MFLOP a picture forward; matrix products at the model's shapes: "
        + ", ".join(f"{rate / 1e9:.0f} GFLOP/s {name}" for name, rate in rates.items())
    )
    last = f"operations dispatched a training step outside loss and backward, uncompiled: {operations:.1f}"
    table = rows(timed, seconds, rates[train.precision])
    return "\n".join([head, *table, *ratios(timed, seconds, train.save_seconds), last])


def rows(timed: list[Workload], seconds: Seconds, matmul: float) -> list[str]:
    """One line a workload: its rate, the spread over rounds, and the share of the matrix-multiply rate."""
    lines = [f"{'':<26}{'median /s':>11}{'min':>9}{'max':>9}{'GFLOP/s':>10}{'of matmul':>11}"]
    for workload, times in zip(timed, seconds, strict=True):
        per_second = sorted(workload.pictures / t for t in times)
        line = f"{workload.name:<26}{median(per_second):>11.1f}{per_second[0]:>9.1f}{per_second[-1]:>9.1f}"
        if workload.flops:
            reached = median(per_second) * workload.flops
            line += f"{reached / 1e9:>10.1f}{reached / matmul:>11.0%}"
        lines.append(line)
    return lines


def ratios(timed: list[Workload], seconds: Seconds, save_seconds: float) -> list[str]:
    """What has a target, round by round: speed against plain eager code, harness against bare loop."""
    times = {workload.name: t for workload, t in zip(timed, seconds, strict=True)}

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
