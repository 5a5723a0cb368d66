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
from types import FrameType

from experiments.cli.arguments import take
from experiments.cli.chatter import Chatter
from experiments.cli.home import ensure_home
from experiments.cli.listing import list_registered
from experiments.cli.paths import given
from experiments.cli.plugins import plugin_errors
from rope_dit.errors import Stopped, UserError, is_out_of_memory
from rope_dit.registry import add_plugins
from rope_dit.words import printable

OK, FAILED, BAD_INPUT, SOME_FAILED = 0, 1, 2, 3
STOPPING: dict[int, int] = {
    signal.SIGINT: 130,
    signal.SIGHUP: 129,  # the terminal is closed
    signal.SIGTERM: 143,
    signal.SIGUSR1: 143,  # by these three, too, batch systems say that the time of a job is nearly over
    signal.SIGUSR2: 143,
    signal.SIGXCPU: 143,
}
"""signals that ask a process to save and end, with its exit code then"""


class StopFlag:
    """Turned on by a signal of STOPPING, such as the first Ctrl-C; the second Ctrl-C stops at once.

    A signal that was ignored when the process began stays so: SIGHUP under nohup, SIGINT of what a script
    started in the background.
    """

    def __init__(self) -> None:
        self.signal = 0

    def __call__(self) -> bool:
        """Whether a signal asked to stop."""
        return self.signal != 0

    @contextlib.contextmanager
    def listen(self) -> Iterator["StopFlag"]:
        """Catch the signals inside the block."""
        heard = [s for s in STOPPING if signal.getsignal(s) is not signal.SIG_IGN]
        before = {s: signal.signal(s, self._set) for s in heard}
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
        """As `STOPPING` says."""
        return STOPPING.get(self.signal, 143)


def main(command: Callable[[list[str], StopFlag], int], argv: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code; no traceback for a user's mistake."""
    sys.stderr = Chatter(sys.stderr or open(os.devnull, "w"))
    output = sys.stdout = Chatter(sys.stdout or open(os.devnull, "w"), _lost)
    to_stderr = logging.StreamHandler(sys.stderr)
    to_stderr.setFormatter(_OneLine("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[to_stderr])
    for level in ("WARNING", "ERROR"):
        logging.addLevelName(getattr(logging, level), level.lower())
    ensure_home()
    atexit.register(gc.freeze)  # a last look for garbage in all that was imported would take seconds
    flag = StopFlag()
    try:
        args = list(sys.argv[1:] if argv is None else argv)
        if plugins := take(args, "plugins"):
            add_plugins(given(plugins))
        if list_registered(args):
            code = OK
        else:
            with flag.listen(), plugin_errors():
                code = command(args, flag)
    except UserError as error:
        code = _say(error, error.details, BAD_INPUT)
    except (Stopped, KeyboardInterrupt):
        flag.signal = flag.signal or signal.SIGINT
        code = _say("stopped by a signal; the same command goes on from here.", (), flag.exit_code)
    except (FloatingPointError, OSError, MemoryError) as error:
        code = _say(error, (), FAILED)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        code = _say(f"{error} Lower train.batch, eval.chunk or the model's size.", (), FAILED)
    output.flush()
    sys.exit(code or (FAILED if output.error else OK))


def _lost(error: OSError) -> None:
    if not isinstance(error, BrokenPipeError):  # else somebody read enough, as in `| head`
        reason = error.strerror or type(error).__name__
        print(f"error: the output cannot be written ({reason}); the work goes on.", file=sys.stderr)


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


def one_line(text: str, limit: int = 192) -> str:
    """Return a text without control characters, long words and the middle of it left out if need be.

    >>> one_line("got '" + "x" * 500 + "',\\nexpected\\0 a name")
    "got 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxx', expected\\\\x00 a name"
    """
    text = printable(" ".join(text.split()))
    if len(text) > limit:
        text = re.sub(r"\S{60,}", lambda word: f"{word[0][:36]}...{word[0][-15:]}", text)
    return text if len(text) <= limit else f"{text[: limit - 85]} ... {text[-80:]}"
