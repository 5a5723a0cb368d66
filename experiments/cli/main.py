"""What all commands share: from command line to config, errors in one line, signals to a flag, exit codes."""

import contextlib
import io
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TypeVar

import tyro

from experiments.cli.arguments import check_arguments
from rope_dit.errors import Stopped, UserError, nearest
from rope_dit.registry import PLUGINS, REGISTRIES, add_plugins, show

OK, FAILED, BAD_INPUT, SOME_FAILED = 0, 1, 2, 3
CLAIMS = (
    "relative",
    "sees",
    "symmetric",
    "extrapolates",
    "order",
    "evals_per_step",
    "adaptive",
    "values",
    "min_images",
)
C = TypeVar("C")


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


def take(args: list[str], name: str) -> str | None:
    """Look for `--name VALUE` or `--name=VALUE` without removing it."""
    for i, arg in enumerate(args):
        if arg.startswith(f"--{name}="):
            return arg.partition("=")[2]
        if arg == f"--{name}":
            if i + 1 == len(args):
                raise UserError(f"--{name} needs a value.")
            return args[i + 1]
    return None


def list_registered(args: list[str]) -> bool:
    """Answer `--list [KIND]` from the files' syntax trees; False where it was not asked for."""
    where = next((i for i, arg in enumerate(args) if arg.partition("=")[0] == "--list"), None)
    if where is None:
        return False
    after = [args[where].partition("=")[2]] if "=" in args[where] else args[where + 1 :][:1]
    kinds = after if after and not after[0].startswith("-") else list(REGISTRIES)
    for kind in kinds:
        if kind not in REGISTRIES:
            expected = f"expected one of {', '.join(REGISTRIES)}"
            raise UserError(f"--list got '{kind}', {expected}.{nearest(kind, list(REGISTRIES))}")
    print("\n\n".join(listing(kind) for kind in kinds))
    return True


def listing(kind: str) -> str:
    """What is registered of one kind: name, summary, options with their defaults, and claims."""
    lines = [f"{kind}:"]
    for entry in REGISTRIES[kind]:
        options = [f"{option.name}={show(option.default)}" for option in entry.options.values()]
        claims = [_claim(name, value) for name, value in entry.claims.items() if name in CLAIMS and value]
        lines.append(f"  {entry.name:<18}{entry.summary}")
        if options:
            lines.append(f"{'':<20}options: {', '.join(options)}")
        if claims:
            lines.append(f"{'':<20}claims:  {', '.join(claims)}")
    return "\n".join(lines)


def _claim(name: str, value: object) -> str:
    words = name.replace("_", " ")
    if isinstance(value, dict):
        return ", ".join(f"{key} ({direction} is better)" for key, direction in value.items())
    if isinstance(value, tuple):
        return f"{words} {' and '.join(value)}"
    return words if value is True else f"{words} {value}"


def parse(config_type: type[C], default: C | None, args: Sequence[str], prog: str, description: str) -> C:
    """Read the command line over `default`.

    Raises:
        UserError: an argument does not fit, or the dataclass itself raised one.
        SystemExit: after --help was printed.
    """
    asked = [arg for arg in args if arg in ("-h", "--help")][:1]
    if not asked:
        check_arguments(config_type, args, complete=default is None)
    over = {} if default is None else {"default": default}
    stderr = io.StringIO()
    try:
        with contextlib.redirect_stderr(stderr):
            return tyro.cli(config_type, args=asked or list(args), prog=prog, description=description, **over)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise _reason(stop, stderr.getvalue()) from None


def _reason(stop: SystemExit, printed: str) -> UserError:
    """The UserError for which tyro gave up, or what it printed in its box."""
    error: BaseException | None = stop
    while error is not None:
        if isinstance(error, UserError):
            return error
        error = error.__context__
    words = re.sub(r"\x1b\[[0-9;]*m|[│╭╰─╮╯]", " ", printed)
    return UserError(f"{' '.join(words.split())[:170] or 'the command line could not be read'} See --help.")


@contextlib.contextmanager
def plugin_errors() -> Iterator[None]:
    """Turn an error inside a plugin's file into a UserError that names the line; for before anything runs."""
    try:
        yield
    except (UserError, Stopped):
        raise
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).parent in PLUGINS]
        if not frames:
            raise
        where = f"{frames[-1].filename}:{frames[-1].lineno}"
        raise UserError(
            f"plugin {where}: {type(error).__name__}: {error}. Mend or remove the file."
        ) from None


def main(command: Callable[[list[str], StopFlag], int], argv: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code; no traceback for a user's mistake."""
    sys.stdout, sys.stderr = sys.stdout or open(os.devnull, "w"), sys.stderr or open(os.devnull, "w")
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.WARNING, stream=sys.stderr)
    for level in ("WARNING", "ERROR"):
        logging.addLevelName(getattr(logging, level), level.lower())
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
    text = " ".join(text.split())
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    if len(text) > limit:
        text = re.sub(r"\S{60,}", lambda word: f"{word[0][:36]}...{word[0][-15:]}", text)
    return text if len(text) <= limit else f"{text[: limit - 85]} ... {text[-80:]}"
