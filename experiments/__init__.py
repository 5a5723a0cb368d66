"""The harness: settings, data, scores, tracking, studies, and the commands that users start.

Each command is a file here and thin; what it does lies in a room. The rooms in their order: cli, config,
records, datasets, scoring, runner, coordinator, benchmark. A room imports itself, rooms before it and
`rope_dit`, commands import all of them; `studies` imports config alone. Of `analysis` only `study.py`
imports anything.
"""

import os
import signal
import sys
from types import FrameType


def _leave(number: int, frame: FrameType | None) -> None:
    try:
        os.write(2, b"error: stopped by a signal; the same command goes on from here.\n")
    finally:
        os._exit(130)


# What `python -m` begins imports for a while before it listens to signals: a Ctrl-C then is no reason for a
# traceback. Whoever else imports this keeps his own ways, and so does a process that ignores Ctrl-C.
if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _leave)
