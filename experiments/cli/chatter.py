"""Output that somebody may have stopped reading: no reason to stop working, but one to say so."""

import contextlib
import os
from collections.abc import Callable
from typing import Any, TextIO


class Chatter:
    """A text stream that drops what it cannot write: the disk is full, the terminal or reader is gone.

    Args:
        stream: where the text goes.
        complain: is told of the first error.
    """

    def __init__(self, stream: TextIO, complain: Callable[[OSError], object] = lambda error: None):
        self._stream, self._complain = stream, complain
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write, or drop; the number of characters."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Send what is held back, or drop it."""
        self._try(self._stream.flush)

    def _try(self, work: Callable[[], object]) -> None:
        if self.error is not None:
            return
        try:
            work()
        except OSError as error:
            self.error = error
            with contextlib.suppress(OSError):  # the stream holds some still, and would fail again at the end
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            self._complain(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
