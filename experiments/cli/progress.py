"""A progress bar on a terminal, and now and then a plain line elsewhere."""

import contextlib
import sys
import time

from tqdm import tqdm


class Progress:
    """Shows how far a piece of work is.

    Args:
        what: its name.
        total: number of units.
        unit: one unit in words, such as 'step' or 'picture'.
        done: units done before this process began.
        every_seconds: time between plain lines where stdout is no terminal.
    """

    def __init__(self, what: str, total: int, unit: str, done: int = 0, every_seconds: float = 15.0):
        self.what, self.total, self.unit, self.every_seconds = what, total, unit, every_seconds
        self._begun, self._first, self._said = time.monotonic(), done, time.monotonic()
        terminal = sys.stdout.isatty()
        self._bar = tqdm(total=total, initial=done, unit=unit, desc=what, file=sys.stdout, leave=False,
                         dynamic_ncols=True, disable=not terminal)  # fmt: skip

    def update(self, done: int, text: str = "") -> None:
        """Say that `done` of all units are finished."""
        if self._bar.disable:
            self._line(done, text)
        else:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Clear the bar."""
        self._bar.close()

    def _line(self, done: int, text: str) -> None:
        now = time.monotonic()
        if now - self._said < self.every_seconds or done == self._first:
            return
        self._said = now
        left = (now - self._begun) / (done - self._first) * (self.total - done)
        ending = f", {text}" if text else ""
        with contextlib.suppress(OSError):  # nobody reads any more: no reason to stop working
            print(f"{self.what}: {done}/{self.total} {self.unit}s, {left:.0f} s left{ending}", flush=True)
