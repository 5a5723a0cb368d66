"""A file by which nodes hear that the coordinator lives, and when all tasks are to stop.

Nodes of some clusters have no line to the coordinator, but share its folders. `Pulse` is its side; `Listener`
is that of a node, where it is sent by value, so this needs the standard library alone.
"""

import contextlib
import math
import threading
import time
from itertools import count
from pathlib import Path

BEAT_SECONDS = 1.0
PATIENCE_SECONDS = 60.0  # without a beat, until the coordinator counts as gone: a shared disk may be slow


class Pulse:
    """Writes a new number to a file every second, until told that all tasks are to stop."""

    def __init__(self, file: Path):
        self.file = file
        self._over = threading.Event()
        file.parent.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._beat, daemon=True, name="pulse")
        self._thread.start()

    def stop(self, grace_seconds: float) -> None:
        """Tell all tasks to stop, and to be gone after the grace."""
        self._over.set()
        self._thread.join()
        self._say(f"stop {grace_seconds}")

    def _beat(self) -> None:
        for number in count():
            with contextlib.suppress(OSError):  # of a disk that is full for a while; nodes have patience
                self._say(f"beat {number}")
            if self._over.wait(BEAT_SECONDS):
                return

    def _say(self, text: str) -> None:
        self.file.write_text(text)  # in place: shared disks show a new file of the same name much later


class Listener:
    """Hears the pulse on a node. Clocks are not compared: it is a change that counts.

    Args:
        file: which the coordinator writes.
        patience: seconds without a beat until the coordinator counts as gone.
    """

    def __init__(self, file: str, patience: float):
        self._file, self._patience = file, patience
        self._heard, self._when = self._read(), time.monotonic()

    def grace(self) -> float | None:
        """Seconds that are left to stop, without limit where the coordinator is gone; None to go on."""
        heard = self._read()
        if heard.startswith("stop "):
            return float(heard.removeprefix("stop "))
        if heard != self._heard:
            self._heard, self._when = heard, time.monotonic()
        return math.inf if time.monotonic() - self._when > self._patience else None

    def hears_a_beat(self) -> bool:
        """Wait for one; False where there is none, as the coordinator has gone or has stopped."""
        first = self._heard
        while self._heard == first:
            if self.grace() is not None:
                return False
            time.sleep(0.1)
        return True

    def _read(self) -> str:
        try:
            with open(self._file) as file:
                return file.read()
        except OSError:
            return ""
