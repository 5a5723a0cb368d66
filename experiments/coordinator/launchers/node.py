"""A task's process on the machine where it runs: how it is started, and how it is asked to stop.

Launchers for clusters send `carry_out` to a node by value, so this needs the standard library alone.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping

LOOK_SECONDS = 0.1  # between two looks at the process
PASSED_ON = ("MLFLOW_", "ROPE_DIT_", "OMP_")


def spawn(
    command: list[str], log: str, environment: Mapping[str, str], folder: str | None = None
) -> subprocess.Popen[bytes]:
    """Start a process with a pipe as standard input, which ends with whoever called this.

    It gets a session of its own: Ctrl-C in the terminal is for the coordinator.

    Args:
        command: program and arguments.
        log: file to append output and errors to; folders are made.
        environment: variables on top of those of this process.
        folder: where the command is run; None for the current one.

    Raises:
        OSError: the program, the folder or the log cannot be used on this machine.
    """
    os.makedirs(os.path.dirname(log) or ".", exist_ok=True)
    with open(log, "ab") as file:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def carry_out(
    command: list[str],
    log: str,
    folder: str,
    environment: dict[str, str],
    asked: Callable[[], float | None] = lambda: None,
) -> int:
    """Run a command on the node where this is called, and return its exit code.

    A KeyboardInterrupt asks the process to stop, too, and lets it take its time.

    Args:
        command: program and arguments.
        log: file to append output and errors to.
        folder: where the command is run.
        environment: variables on top of those of the node.
        asked: tells how many seconds the process has to stop; None while it may go on.

    Raises:
        OSError: the program, the folder or the log cannot be used on this node.
    """
    grace = None
    with spawn(command, log, environment, folder) as process:
        try:
            while process.poll() is None and (grace := asked()) is None:
                time.sleep(LOOK_SECONDS)
        except KeyboardInterrupt:
            pass
        process.terminate()
        try:
            return process.wait(grace)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()


def passed_on() -> dict[str, str]:
    """Return the coordinator's variables that tasks need on every node."""
    wanted = (name for name in os.environ if name.startswith(PASSED_ON) or name == "PYTHONPATH")
    return {name: os.environ[name] for name in wanted}
