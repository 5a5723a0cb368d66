"""What all commands share: presets and overrides to a config, errors to one line, signals to a flag, exit codes."""

import contextlib
import io
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TypeVar

import tyro

from rope_dit.errors import Stopped, UserError, nearest
from rope_dit.registry import REGISTRIES, add_plugins

OK, FAILED, BAD_INPUT, SOME_FAILED = 0, 1, 2, 3
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
    if "--list" not in args:
        return False
    after = args[args.index("--list") + 1 :]
    kinds = [after[0]] if after and not after[0].startswith("-") else list(REGISTRIES)
    for kind in kinds:
        if kind not in REGISTRIES:
            raise UserError(f"--list got '{kind}', expected one of {', '.join(REGISTRIES)}.{nearest(kind, list(REGISTRIES))}")
        print(f"{kind}:")
        for entry in REGISTRIES[kind]:
            options = ", ".join(f"{o.name}={o.default}" for o in entry.options.values())
            print(f"  {entry.name:<20}{entry.summary}" + (f" [{options}]" if options else ""))
    return True


def parse(config_type: type[C], default: C | None, args: Sequence[str], prog: str, description: str) -> C:
    """Read the command line over `default`. Raises UserError with tyro's own explanation as one line."""
    over = {} if default is None else {"default": default}
    stderr = io.StringIO()
    try:
        with contextlib.redirect_stderr(stderr):
            return tyro.cli(config_type, args=list(args), prog=prog, description=description, **over)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        text = re.sub(r"\x1b\[[0-9;]*m", "", stderr.getvalue())
        lines = [re.sub(r"^[\s|│╭╰─╮╯+-]+|[\s|│─╮╯]+$", "", line) for line in text.splitlines()]
        words = " ".join(line for line in lines if line and not line.startswith(("Parsing error", "For full helptext")))
        raise UserError((words or "the command line could not be read")[:170] + " See --help.") from None


def main(command: Callable[[list[str], StopFlag], int], argv: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code; no traceback for a user's mistake."""
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
    sys.exit(code)


def _say(what: object, details: Sequence[str], code: int) -> int:
    text = " ".join(str(what).split())
    print(f"error: {text if len(text) <= 192 else text[:189] + '...'}", file=sys.stderr)
    for line in details[:20]:
        print(f"  {line}", file=sys.stderr)
    if len(details) > 20:
        print(f"  ... and {len(details) - 20} more", file=sys.stderr)
    return code
