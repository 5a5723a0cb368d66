"""Processes of this machine, each with a GPU of its own or a share of one."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.config.launch import LaunchConfig, usable_cores
from experiments.config.registries import LAUNCHERS
from experiments.coordinator.launchers.base import NOT_STARTED, Ended, Task, note
from experiments.coordinator.launchers.node import spawn
from rope_dit.errors import UserError

LOOK_SECONDS = 0.05  # between two looks at the processes
MOST_ON_CPU = 4  # each process takes about half a gigabyte before it has any data


@dataclass
class _Child:
    task: Task
    slot: int
    process: subprocess.Popen[bytes]


@LAUNCHERS.register("local")
class LocalLauncher:
    """Processes of this machine, each with a GPU or a share of one; without GPUs as many as fit the cores.

    When the coordinator dies, kill -9 included, its children's standard inputs end.

    Args:
        config: how many tasks at a time.
        threads: CPU threads each task uses.
        device: what tasks compute on.

    Raises:
        UserError: there is no GPU, or there are too few for the tasks.
    """

    def __init__(self, config: LaunchConfig, threads: int, device: str):
        environment = {"OMP_NUM_THREADS": str(threads)}
        if device == "cuda":
            gpus = slots_on_gpus(visible_gpus(), config.workers, config.runs_per_gpu)
            self._environments = [{**environment, "CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus]
        else:
            self._environments = [environment] * (config.workers or fitting(threads, device))
        self._children: list[_Child] = []
        self._ended: list[Ended] = []
        self._stopped = False

    @property
    def slots(self) -> int:
        """How many tasks may be unfinished at once."""
        return len(self._environments)

    def start(self, task: Task) -> None:
        """Begin a task; one whose program cannot be started is reported as ended with 127."""
        free = sorted(set(range(self.slots)) - {child.slot for child in self._children})
        if self._stopped or not free:
            raise ValueError(f"{task.name}: {'stopped' if self._stopped else 'no slot is free'}")
        try:
            process = spawn([*task.command], str(task.log), self._environments[free[0]])
        except OSError as error:
            note(task.log, str(error))
            self._ended.append(Ended(task.name, NOT_STARTED))
        else:
            self._children.append(_Child(task, free[0], process))

    def poll(self, seconds: float) -> list[Ended]:
        """Wait up to `seconds` for something to end; return all that ended, each once."""
        until = time.monotonic() + seconds
        self._collect()
        while self._children and not self._ended and (left := until - time.monotonic()) > 0:
            time.sleep(min(LOOK_SECONDS, left))
            self._collect()
        ended, self._ended = self._ended, []
        return ended

    def stop(self, grace_seconds: float) -> None:
        """Ask all tasks to stop, and kill those that are left after the grace, with their own children."""
        self._stopped = True
        for child in self._children:
            child.process.terminate()
        until = time.monotonic() + grace_seconds
        self._collect()
        while self._children and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
            self._collect()
        for child in self._children:
            os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()
        self._collect()

    def _collect(self) -> None:
        ended = [child for child in self._children if child.process.poll() is not None]
        self._children = [child for child in self._children if child not in ended]
        for child in ended:
            assert child.process.stdin is not None
            child.process.stdin.close()
            self._ended.append(Ended(child.task.name, child.process.returncode))


def fitting(threads: int, device: str) -> int:
    """How many tasks this machine carries out at a time without a GPU."""
    return 1 if device == "mps" else max(1, min(MOST_ON_CPU, usable_cores() // threads))


def slots_on_gpus(gpus: Sequence[str], workers: int, runs_per_gpu: int) -> list[str]:
    """Return a GPU for each slot, in turns, so that few slots spread over many GPUs.

    >>> slots_on_gpus(["0", "3"], 0, 2)
    ['0', '3', '0', '3']

    Raises:
        UserError: there is no GPU, or they hold fewer than `workers` tasks.
    """
    if not gpus:
        raise UserError(
            "no GPU was found for the runs. Choose --device cpu, "
            "or see what CUDA_VISIBLE_DEVICES and nvidia-smi say."
        )
    room = len(gpus) * runs_per_gpu
    if workers > room:
        raise UserError(
            f"workers got {workers}, expected at most {room}: {len(gpus)} GPUs, {runs_per_gpu} runs on each. "
            "Lower --workers or raise --runs-per-gpu."
        )
    return [gpus[slot % len(gpus)] for slot in range(workers or room)]


def visible_gpus() -> list[str]:
    """Return what CUDA_VISIBLE_DEVICES lists, by number or UUID, or else the numbers of all GPUs here."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return [str(number) for number in range(_gpu_count())]
    gpus = []
    for gpu in (entry.strip() for entry in listed.split(",")):
        if not gpu or gpu == "-1":  # CUDA, too, reads no further
            break
        gpus.append(gpu)
    return gpus


def _gpu_count() -> int:
    """Number of GPUs, from the driver's own tool, since to import torch takes seconds."""
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
        try:
            told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
            return len(told.stdout.split())
        except (OSError, subprocess.SubprocessError):
            pass  # a broken tool does not mean a broken driver
    import torch

    return torch.cuda.device_count()
