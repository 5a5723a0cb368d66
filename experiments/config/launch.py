"""Where runs are carried out, how many at a time, and how many cores there are for them. Imports no torch."""

import os
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from rope_dit.config import check


@dataclass(frozen=True, kw_only=True)
class LaunchConfig:
    """Where runs are carried out, and how many at a time."""

    launcher: Literal["local", "ray"] = "local"
    """local: processes of this machine; ray: of a cluster (needs the extra: pip install 'rope-dit[ray]')"""
    workers: int = 0
    """runs at a time; 0: as many as fit the GPUs, or without GPUs the cores (on this machine 4 at most)"""
    runs_per_gpu: int = 1
    """runs that share a GPU; small models leave most of one idle"""
    ray_address: Annotated[str, tyro.conf.arg(help_behavior_hint="(default: start one)")] = ""
    """Ray cluster to use: HOST:PORT of its head, or auto for the one this machine belongs to"""

    def __post_init__(self) -> None:
        check(0 <= self.workers <= 10_000, "workers", self.workers, "0 to 10,000")
        check(1 <= self.runs_per_gpu <= 100, "runs-per-gpu", self.runs_per_gpu, "1 to 100")
        fits = not self.ray_address or self.launcher == "ray"
        check(fits, "ray-address", self.ray_address, "nothing, unless --launcher ray is given too")


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
