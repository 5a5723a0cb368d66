"""Where runs are carried out, how many at a time, and how many cores there are for them. Imports no torch."""

import os
from dataclasses import dataclass
from typing import Annotated

import tyro

from experiments.config.registries import LAUNCHERS
from rope_dit.errors import check


@dataclass(frozen=True, kw_only=True)
class LaunchConfig:
    """Where runs are carried out, and how many at a time."""

    launcher: Annotated[str, tyro.conf.arg(metavar="SPEC")] = "local"
    """where: local, ray:address=HOST:6379, slurm:partition=gpu,minutes=600; --list launchers"""
    workers: int = 0
    """runs at a time; 0: as many as fit the GPUs, or else the cores (here 4 at most); slurm: 100 jobs"""
    runs_per_gpu: int = 1
    """runs that share a GPU; small models leave most of one idle"""

    def __post_init__(self) -> None:
        LAUNCHERS.canonical(self.launcher)
        check(0 <= self.workers <= 10_000, "workers", self.workers, "0 to 10,000")
        check(1 <= self.runs_per_gpu <= 100, "runs-per-gpu", self.runs_per_gpu, "1 to 100")


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
