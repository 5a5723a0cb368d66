"""Tasks for launchers: what a worker promises, one that is deaf, and what becomes of them."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from experiments.coordinator.launchers import Ended, Launcher

T = TypeVar("T")
LONG = 100.0  # seconds by which anything here has happened, on the busiest machine

# What a worker promises: SIGTERM is obeyed after a while, the end of standard input is a SIGTERM.
CELL = """
import os, signal, sys, threading, time
def stop(*_):
    print("checkpoint", flush=True)
    sys.exit(143)
def watch():
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
signal.signal(signal.SIGTERM, stop)
threading.Thread(target=watch, daemon=True).start()
print("pid", os.getpid(), flush=True)
while True:
    time.sleep(0.05)
"""
DEAF = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("pid", child.pid, flush=True)
while True:
    time.sleep(600)
"""


def python(code: str, *args: object) -> tuple[str, ...]:
    return (sys.executable, "-c", code, *map(str, args))


def until(condition: Callable[[], T], what: str) -> T:
    """The first true value of a condition."""
    end = time.monotonic() + LONG
    while not (found := condition()):
        assert time.monotonic() < end, f"still waiting for {what}"
        time.sleep(0.02)
    return found


def told_pid(log: Path) -> int:
    def look() -> int:
        text = log.read_text() if log.exists() else ""
        return int(text.split("pid ")[1].split()[0]) if "\n" in text.partition("pid ")[2] else 0

    return until(look, f"a process id in {log}")


def alive(pid: int) -> bool:
    """Whether a process runs: one that has ended but nobody asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def drain(launcher: Launcher, number: int) -> list[Ended]:
    """The endings of so many tasks, by name."""
    ended: list[Ended] = []
    end = time.monotonic() + LONG
    while len(ended) < number:
        assert time.monotonic() < end, f"only {ended} of {number} ended"
        ended += launcher.poll(1)
    return sorted(ended, key=lambda one: one.name)
