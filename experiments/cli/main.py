"""What all commands share: exit codes, signals to a flag, errors in one line."""

import atexit
import contextlib
import gc
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from experiments.cli.arguments import take
from experiments.cli.listing import list_registered
from rope_dit.errors import Stopped, UserError
from rope_dit.registry import add_plugins

OK, FAILED, BAD_INPUT, SOME_FAILED = 0, 1, 2, 3


class StopFlag:
    """Turned on by SIGTERM, SIGUSR1 or the first Ctrl-C; the second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.signal = 0

    def __call__(self) -> bool:
        """Whether a signal asked to stop."""
        return self.signal != 0

    @contextlib.contextmanager
    def listen(self) -> Iterator["StopFlag"]:
        """Catch the signals inside the block."""
        before = {s: signal.signal(s, self._set) for s in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _set(self, number: int, frame: FrameType | None) -> None:
        if self.signal == signal.SIGINT == number:
            raise KeyboardInterrupt
        self.signal = number

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C, 143 after the others."""
        return 130 if self.signal == signal.SIGINT else 143


def main(command: Callable[[list[str], StopFlag], int], argv: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code; no traceback for a user's mistake."""
    sys.stdout, sys.stderr = sys.stdout or open(os.devnull, "w"), sys.stderr or open(os.devnull, "w")
    to_stderr = logging.StreamHandler(sys.stderr)
    to_stderr.setFormatter(_OneLine("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[to_stderr])
    for level in ("WARNING", "ERROR"):
        logging.addLevelName(getattr(logging, level), level.lower())
    atexit.register(gc.freeze)  # a last look for garbage in all that was imported would take seconds
    flag = StopFlag()
    try:
        args = list(sys.argv[1:] if argv is None else argv)
        if plugins := take(args, "plugins"):
            add_plugins(Path(plugins))
        if list_registered(args):
            code = OK
        else:
            with flag.listen():
                code = command(args, flag)
        sys.stdout.flush()
    except UserError as error:
        code = _say(error, error.details, BAD_INPUT)
    except (Stopped, KeyboardInterrupt):
        flag.signal = flag.signal or signal.SIGINT
        code = _say("stopped by a signal; the same command goes on from here.", (), flag.exit_code)
    except BrokenPipeError:  # somebody read enough, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
    except (FloatingPointError, OSError, MemoryError) as error:
        code = _say(error, (), FAILED)
    except RuntimeError as error:
        if not re.search("out of memory|not enough memory|n't allocate memory", str(error)):
            raise
        code = _say(f"{error} Lower train.batch, eval.chunk or the model's size.", (), FAILED)
    sys.exit(code)


class _OneLine(logging.Formatter):
    """What is logged may be another's words: those of a store, a server, a file."""

    def format(self, record: logging.LogRecord) -> str:
        return one_line(super().format(record), 1000)


def _say(what: object, details: Sequence[str], code: int) -> int:
    print(f"error: {one_line(str(what))}", file=sys.stderr)
    lines = list(details) if len(details) <= 20 else [*details[:19], f"... and {len(details) - 19} more"]
    for line in lines:
        print(f"  {one_line(line)}", file=sys.stderr)
    return code


def visible(text: str) -> str:
    """Return a text whose control characters, which terminals and editors obey, stand there as their codes.

    >>> visible("a\\x1b[31m")
    'a\\\\x1b[31m'
    """
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def one_line(text: str, limit: int = 192) -> str:
    """Return a text without control characters, long words and the middle of it left out if need be.

    >>> one_line("got '" + "x" * 500 + "',\\nexpected\\0 a name")
    "got 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxx', expected\\\\x00 a name"
    """
    text = visible(" ".join(text.split()))
    if len(text) > limit:
        text = re.sub(r"\S{60,}", lambda word: f"{word[0][:36]}...{word[0][-15:]}", text)
    return text if len(text) <= limit else f"{text[: limit - 85]} ... {text[-80:]}"
