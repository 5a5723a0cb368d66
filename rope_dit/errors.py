"""The three ways a run ends early that are nobody's bug: bad input, a wish to stop, weights that ran away."""

import difflib
import re
from collections.abc import Iterable, Sequence


class UserError(ValueError):
    """Bad input. Says what was got, what is expected and how to mend it; the commands exit with 2.

    Args:
        message: one line of at most 200 characters.
        details: lines that follow, indented (damaged files, differing fields); 20 are shown.
    """

    def __init__(self, message: str, details: Iterable[str] = ()):
        super().__init__(message)
        self.details = tuple(details)


class Stopped(Exception):
    """Raised between two steps after a signal asked the process to stop; everything is saved by then."""


class Diverged(FloatingPointError):
    """What was computed is no number any more; the commands exit with 1. Ranks pass it on by pickling.

    Args:
        message: what is not finite and where, and how to mend it.
        step: training step of the weights that did it.
    """

    def __init__(self, message: str, step: int = 0):
        super().__init__(message)
        self.step = step


def nearest(word: str, known: Sequence[str]) -> str:
    """Return ` Did you mean 'x'?` for the closest known word, or an empty string.

    >>> nearest("rope2dd", ["rope1d", "rope2d", "none"])
    " Did you mean 'rope2d'?"
    """
    close = difflib.get_close_matches(word, known, n=1)
    return f" Did you mean '{close[0]}'?" if close else ""


def check(ok: bool, name: str, got: object, expected: str) -> None:
    """Raise UserError in the one form all settings use, unless `ok`."""
    if not ok:
        raise UserError(f"{name} got {got!r}, expected {expected}.")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it says that the memory, of the host or of a device, is full."""
    found = re.search("out of memory|not enough memory|n't allocate memory", str(error))
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and found is not None)
