"""Processes on the nodes of a Ray cluster. Ray places them, and begins elsewhere again what a node took.

Every node needs this installation at the same path, the study's folders under the same paths (a shared file
system), and the cluster's token where it has one. Only argument lists, texts and exit codes pass through Ray.
"""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from experiments.config.launch import LaunchConfig
from experiments.config.registries import LAUNCHERS
from experiments.coordinator.launchers import node
from experiments.coordinator.launchers.base import LOST, NOT_STARTED, Ended, Task, note
from rope_dit.errors import UserError
from rope_dit.registry import Text

RETRIES = 10  # lost nodes and killed workers that one task survives; more of them point to the task itself
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 20.0  # a healthy cluster on busy cores takes three
TELL_SECONDS = 10.0  # for the cluster to tell how a killed task ended
OBJECT_STORE_BYTES = 80_000_000  # the least Ray takes: only exit codes lie there


@LAUNCHERS.register("ray")
class RayLauncher:
    """Processes of a Ray cluster, which places them (needs the extra: pip install 'rope-dit[ray]').

    One Ray task a task, with as many CPUs as it has threads and its share of a GPU.

    Args:
        config: how many tasks at a time; 0 for as many as the cluster has room for; Ray would queue more.
        threads: CPUs of each task.
        device: what tasks compute on; each gets a GPU or its share of one for cuda.
        address: HOST:PORT of the cluster's head, auto for this machine's; nothing to start one.

    Raises:
        UserError: Ray is not installed, no cluster answers, or none of its nodes could ever hold a task.
    """

    starts_slowly = True

    def __init__(self, config: LaunchConfig, threads: int, device: str, *, address: Text = ""):
        _init(address)
        import ray

        self._ray = ray
        self._threads, self._workers = threads, config.workers
        self._runs_per_gpu = config.runs_per_gpu if device == "cuda" else 0
        self._running: dict[Any, Task] = {}
        self._ended: list[Ended] = []
        self._stopped = False
        self._cancelled = -signal.SIGTERM  # before it had begun
        ray.cloudpickle.register_pickle_by_value(node)  # nodes need not find this project
        # Ray counts in ten-thousandths
        share = 10_000 // self._runs_per_gpu / 10_000 if self._runs_per_gpu else 0
        self._carry_out = ray.remote(num_cpus=threads, num_gpus=share, max_retries=RETRIES)(node.carry_out)
        self._check_room()

    def _check_room(self) -> None:
        if any(self._rooms()):
            return
        nodes = self._nodes()
        self.stop(0)
        wish = f"{self._threads} CPUs" + (" and a GPU" if self._runs_per_gpu else "")
        raise UserError(
            f"each run asks for {wish} of one node, and no node of the Ray cluster has them. "
            "Lower --train.threads, choose --device cpu or add a node. The nodes have:",
            [f"{one.get('CPU', 0):g} CPUs, {one.get('GPU', 0):g} GPUs" for one in nodes],
        )

    @property
    def slots(self) -> int:
        """How many tasks may be unfinished at once; follows the nodes where no number was asked for."""
        return self._workers or max(1, sum(self._rooms()))

    def start(self, task: Task) -> None:
        """Hand a task to Ray, which starts it where there is room."""
        if self._stopped:
            raise ValueError(f"{task.name}: the launcher was stopped")
        log = os.path.abspath(task.log)
        environment = {**node.passed_on(), "OMP_NUM_THREADS": str(self._threads)}
        self._running[self._carry_out.remote(list(task.command), log, os.getcwd(), environment)] = task

    def poll(self, seconds: float) -> list[Ended]:
        """Wait up to `seconds` for something to end; return all that ended, each once."""
        if not self._stopped:
            self._collect(seconds, enough=1)
        ended, self._ended = self._ended, []
        return ended

    def stop(self, grace_seconds: float) -> None:
        """Ask all tasks to stop, kill what is left after the grace, and leave the cluster or shut it down."""
        if self._stopped:
            return
        self._cancel(grace_seconds, force=False)
        self._cancelled = LOST
        self._cancel(TELL_SECONDS, force=True)
        self._ended += [Ended(task.name, LOST) for task in self._running.values()]
        self._running.clear()
        self._stopped = True
        with _signals_kept():
            self._ray.shutdown()

    def _cancel(self, seconds: float, force: bool) -> None:
        for reference in self._running:
            self._ray.cancel(reference, force=force)
        self._collect(seconds, enough=len(self._running))

    def _collect(self, seconds: float, enough: int) -> None:
        """Wait until `enough` tasks have ended, or the time is up."""
        if not self._running:
            return
        self._ray.wait(list(self._running), num_returns=enough, timeout=seconds)
        ended, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        for reference in ended:
            task = self._running.pop(reference)
            self._ended.append(Ended(task.name, self._code(reference, task)))

    def _code(self, reference: Any, task: Task) -> int:
        errors = self._ray.exceptions
        try:
            return int(self._ray.get(reference))
        except errors.TaskCancelledError:
            return self._cancelled
        except errors.RayTaskError as error:
            note(task.log, f"{error.cause} on a node of the cluster; all nodes must share the folders")
            return NOT_STARTED
        except errors.RayError as error:
            note(task.log, f"given up after {RETRIES} retries: {str(error).splitlines()[0]}")
            return LOST

    def _nodes(self) -> list[dict[str, float]]:
        return [one["Resources"] for one in self._ray.nodes() if one["Alive"]]

    def _rooms(self) -> list[int]:
        """How many tasks each node has room for."""
        rooms = []
        for one in self._nodes():
            on_cpus = int(one.get("CPU", 0) // self._threads)
            on_gpus = int(one.get("GPU", 0)) * self._runs_per_gpu
            rooms.append(min(on_cpus, on_gpus) if self._runs_per_gpu else on_cpus)
        return rooms


def _init(address: str) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise UserError(
            f"--launcher ray needs Ray ({error}). Install it: pip install 'rope-dit[ray]'."
        ) from None
    _check_reachable(address)
    how: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if not address:
        how |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    try:
        with _signals_kept():
            ray.init(address=address or "local", **how)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError, ray.exceptions.RayError) as error:
        what = f"the Ray cluster at '{address}' cannot be used" if address else "Ray cannot be started here"
        raise UserError(f"{what}: {_reason(error)}") from None


def _check_reachable(address: str) -> None:
    """Refuse an address where no cluster answers, on which Ray itself would try for minutes."""
    if address in ("", "auto"):
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host or not 0 < int(port) < 65_536:
        raise UserError(f"ray: address got '{address}', expected HOST:PORT of the cluster's head, or auto.")
    ask = [sys.executable, "-m", "ray.scripts.scripts", "status", "--address", address]
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
        subprocess.run(ask, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or "").strip().splitlines()
        raise UserError(
            f"no Ray cluster answers at '{address}'. Start one with `ray start --head`, "
            "or leave the address out to have one started.",
            said[-1:] or [_reason(error)],
        ) from None


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"somebody listens there, but said nothing for {ANSWER_SECONDS:g} s"
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Give the coordinator its signal handlers back, which Ray replaces by its own."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
