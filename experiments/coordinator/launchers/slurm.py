"""Jobs of a Slurm cluster, through submitit. Slurm begins none of them twice: what a node took is begun again
by the coordinator, from its checkpoint.

Every node needs this installation at the same path and the study's folders under the same paths (a shared
file system). Jobs hear by a file there that the coordinator lives (`pulse`): when it is gone, those that run
stop within a minute, and those that still wait end soon after they have begun.
"""

import os
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any, Literal

from experiments.config.launch import LaunchConfig
from experiments.config.registries import LAUNCHERS
from experiments.coordinator.launchers import node, pulse
from experiments.coordinator.launchers.base import LOST, NOT_STARTED, Ended, Task, note
from experiments.coordinator.launchers.local import fitting
from rope_dit.errors import UserError, check
from rope_dit.registry import Text

MOST_JOBS = 100  # in Slurm's queue where no number was asked for
LOOK_SECONDS = 0.2  # between two looks at the jobs' files
ASK_SECONDS = 60.0  # between two questions to Slurm's accounting, which alone knows of lost nodes
SETTLE_SECONDS = 5.0  # for a shared disk to show what a job wrote at its end
TELL_SECONDS = 15.0  # for a killed task's job to tell how it ended
SHORTEST = 3  # minutes: Slurm's warning comes 90 seconds before the end


@dataclass
class _Submitted:
    task: Task
    job: Any
    gone_since: float | None = None


@LAUNCHERS.register("slurm")
class SlurmLauncher:
    """Jobs of a Slurm cluster, which queues them (needs the extra: pip install 'rope-dit[slurm]').

    One job a task, with as many CPUs as it has threads and a GPU of its own where it computes on one.

    Args:
        config: how many jobs, waiting ones included; 0 for 100.
        threads: CPUs of each job.
        device: what tasks compute on.
        partition: of Slurm, as all that follows; left to Slurm where it is not given.
        account: who pays.
        qos: quality of service.
        minutes: time limit of a job; one that reaches it goes on in the next, as long as it gets on.
        memory_gb: memory of a job; 0 for what the partition gives.
        gres: what to ask for instead of a GPU, such as shard:4 where Slurm shares them out.
        cluster: slurm; local carries out the jobs as processes of this machine, to try out all but Slurm.

    Raises:
        UserError: submitit or Slurm is not installed here, or GPUs are to be shared, which takes `gres`.
    """

    trial = "cluster=local"

    def __init__(
        self,
        config: LaunchConfig,
        threads: int,
        device: str,
        *,
        partition: Text = "",
        account: Text = "",
        qos: Text = "",
        minutes: int = 240,
        memory_gb: int = 0,
        gres: Text = "",
        cluster: Literal["slurm", "local"] = "slurm",
    ):
        check(minutes >= SHORTEST, "slurm: minutes", minutes, f"at least {SHORTEST}")
        check(memory_gb >= 0, "slurm: memory_gb", memory_gb, "0 or more")
        check(config.runs_per_gpu == 1, "runs-per-gpu", config.runs_per_gpu,
              "1: a Slurm job has a GPU of its own, or what gres says, as in slurm:gres=shard:4")  # fmt: skip
        self._submitit = _submitit(cluster)
        here = fitting(threads, device) if cluster == "local" else MOST_JOBS
        self._slots = config.workers or here
        self._cluster, self._threads = cluster, threads
        self._asked_for = {
            "timeout_min": minutes,
            "cpus_per_task": threads,
            "gpus_per_node": 1 if device == "cuda" and not gres else None,
            "mem_gb": memory_gb or None,
            "slurm_partition": partition or None,
            "slurm_account": account or None,
            "slurm_qos": qos or None,
            "slurm_gres": gres or None,
            "slurm_srun_args": [f"--cpus-per-task={threads}"],  # newer versions pass it on to no step
            "slurm_additional_parameters": {"no-requeue": True},
        }
        self._pulse: pulse.Pulse | None = None
        self._running: list[_Submitted] = []
        self._ended: list[Ended] = []
        self._stopped, self._lost = False, False
        self._asked_at = time.monotonic()

    @property
    def slots(self) -> int:
        """How many tasks may be unfinished at once, waiting ones included."""
        return self._slots

    def start(self, task: Task) -> None:
        """Hand a task to Slurm; one that it does not take is reported as ended with 127."""
        if self._stopped or len(self._running) >= self._slots:
            raise ValueError(f"{task.name}: {'stopped' if self._stopped else 'no slot is free'}")
        log = task.log.absolute()
        self._pulse = self._pulse or pulse.Pulse(log.parent / "submitit" / uuid.uuid4().hex[:8] / "pulse")
        environment = {**node.passed_on(), "OMP_NUM_THREADS": str(self._threads)}
        heard = (str(self._pulse.file), pulse.PATIENCE_SECONDS)
        try:
            executor = self._submitit.AutoExecutor(self._pulse.file.parent, cluster=self._cluster)
            executor.update_parameters(name=task.name, **self._asked_for)
            job = executor.submit(in_a_job, [*task.command], str(log), os.getcwd(), environment, *heard)
        except (OSError, RuntimeError) as error:
            note(task.log, f"Slurm did not take the job: {str(error) or type(error).__name__}")
            self._ended.append(Ended(task.name, NOT_STARTED))
        else:
            self._running.append(_Submitted(task, job))

    def poll(self, seconds: float) -> list[Ended]:
        """Wait up to `seconds` for something to end; return all that ended, each once."""
        self._wait(seconds, lambda: bool(self._ended))
        ended, self._ended = self._ended, []
        return ended

    def stop(self, grace_seconds: float) -> None:
        """Ask all tasks to stop, kill what is left after the grace; cancel jobs that have not begun."""
        if self._stopped:
            return
        self._stopped = True
        if self._pulse is None:
            return
        self._pulse.stop(grace_seconds)
        self._cancel([one for one in self._running if not one.job.paths.stdout.exists()])
        self._wait(grace_seconds + TELL_SECONDS)
        self._cancel(self._running)
        self._wait(TELL_SECONDS)
        self._ended += [Ended(one.task.name, LOST) for one in self._running]
        if not (self._lost or self._running):  # else submitit's own logs may tell why
            shutil.rmtree(self._pulse.file.parent, ignore_errors=True)
        self._running.clear()

    def _cancel(self, submitted: list[_Submitted]) -> None:
        for one in submitted:
            one.job.cancel(check=False)

    def _wait(self, seconds: float, enough: Callable[[], bool] = lambda: False) -> None:
        until = time.monotonic() + seconds
        self._collect()
        while self._running and not enough() and (left := until - time.monotonic()) > 0:
            time.sleep(min(LOOK_SECONDS, left))
            self._collect()

    def _collect(self) -> None:
        ask = time.monotonic() > self._asked_at + ASK_SECONDS
        self._asked_at = time.monotonic() if ask else self._asked_at
        still = []
        for one in self._running:
            # one question is about all jobs; submitit takes a preempted one for one that will go on
            gone = one.job.done(force_check=ask) or one.job.state == "PREEMPTED"
            ask = False
            code = self._code(one) if gone else None
            if code is None:
                still.append(one)
            else:
                self._ended.append(Ended(one.task.name, code))
        self._running = still

    def _code(self, one: _Submitted) -> int | None:
        """Exit code of a task whose job has gone; None while its result may still appear."""
        log, result = one.task.log, one.job.paths.result_pickle
        if result.exists():
            try:
                told = one.job.result()
            except RuntimeError as error:  # submitit could not begin there; a line of dashes ends the trace
                told = str(error).strip().split("\n---")[1].splitlines()[-1]
            if isinstance(told, int):
                return told
            note(log, f"{told} on a node of the cluster; all nodes must share the folders")
            return NOT_STARTED
        one.gone_since = one.gone_since or time.monotonic()
        if time.monotonic() < one.gone_since + SETTLE_SECONDS:
            return None
        if not self._stopped:
            self._lost = True
            note(log, f"job {one.job.job_id} is {one.job.state} without a result; see {one.job.paths.stderr}")
        return LOST


def in_a_job(
    command: list[str], log: str, folder: str, environment: dict[str, str], file: str, patience: float
) -> int | str:
    """Carry out a command inside a job; returns its exit code, or why it could not be started. Sent by value.

    Args:
        command: program and arguments.
        log: file to append output and errors to.
        folder: where the command is run.
        environment: variables on top of those of the node.
        file: pulse of the coordinator.
        patience: seconds without a beat until the coordinator counts as gone.
    """
    signals: list[int] = []

    def take(number: int, frame: FrameType | None) -> None:
        signals.append(number)

    # submitit would let the first pass by, and on the others ask Slurm to begin the job again
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, take)
    listener = pulse.Listener(file, patience)
    if not listener.hears_a_beat() or signals:
        return -signal.SIGTERM

    def asked() -> float | None:
        return float("inf") if signals else listener.grace()  # after a signal Slurm knows how long it waits

    try:
        return node.carry_out(command, log, folder, environment, asked)
    except OSError as error:
        return str(error)


def _submitit(cluster: str) -> Any:
    os.environ.setdefault("SUBMITIT_LOG_LEVEL", "NOCONFIG")  # else it writes to the terminal by itself
    try:
        import cloudpickle
        import submitit
    except ImportError as error:
        raise UserError(
            f"--launcher slurm needs submitit ({error}). Install it: pip install 'rope-dit[slurm]'."
        ) from None
    if cluster == "slurm" and not (shutil.which("sbatch") and shutil.which("srun")):
        raise UserError(
            "--launcher slurm found no sbatch and srun here. Start the study where jobs can be submitted."
        )
    for module in (node, pulse, sys.modules[__name__]):  # nodes need not find this project
        cloudpickle.register_pickle_by_value(module)
    return submitit
