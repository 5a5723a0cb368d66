"""What every launcher takes and gives: tasks in, endings out. Imports neither torch nor ray.

The processes of tasks keep three promises, on which launchers rely: they stop at a checkpoint on SIGTERM and
exit with 143; they do the same when their standard input ends, which it does when whoever started them is
gone, even by kill -9; and the same command, run again, goes on from the checkpoint.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

LOST = -9  # the process was killed with its node, or together with what watched it
NOT_STARTED = 127  # as shells say it


@dataclass(frozen=True)
class Task:
    """A command to run as a process of its own.

    Args:
        name: by which its ending is reported; no two unfinished tasks share one.
        command: program and arguments, handed over without a shell.
        log: file to which its output and errors are appended; folders are made.
    """

    name: str
    command: tuple[str, ...]
    log: Path


@dataclass(frozen=True)
class Ended:
    """How a task ended.

    Args:
        name: the task's.
        code: exit code; minus the signal's number where one killed it, -9 too where its node was lost.
    """

    name: str
    code: int


class Launcher(Protocol):
    """Carries out tasks, some at a time. Not thread-safe; used by one coordinator."""

    @property
    def slots(self) -> int:
        """How many tasks may be unfinished at once, at least 1; a cluster's number follows its nodes."""

    def start(self, task: Task) -> None:
        """Begin a task without waiting for it; where the program cannot be started it ends with 127.

        Raises:
            ValueError: the launcher was stopped, or has no free slot and nothing to queue tasks with.
        """

    def poll(self, seconds: float) -> list[Ended]:
        """Wait up to `seconds` for something to end and return all that ended, each once.

        Returns at once where nothing runs.
        """

    def stop(self, grace_seconds: float) -> None:
        """Ask all tasks to stop, kill what is left after the grace, and close. May be called again.

        Tasks that had not ended before are reported by `poll` afterwards; none can be started.
        """


def note(log: Path, text: str) -> None:
    """Append a line of the launcher's own to a task's log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a") as file:
        file.write(f"launcher: {text}\n")
