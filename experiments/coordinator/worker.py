"""Carry out one cell of a study: `python -m experiments.coordinator.worker FILE`, which a launcher starts.

FILE holds the settings of the run, in the folder `cells` of its study. The process stops at a checkpoint when
its launcher dies, which it sees by the end of its standard input.
"""

import os
import signal
import stat
import threading
import time
from pathlib import Path

from experiments.cli.main import StopFlag, main
from experiments.cli.plugins import check_asked_for
from experiments.config.former import upgraded
from experiments.config.run import RunConfig
from experiments.config.text import from_json, read_json
from experiments.coordinator.seals import seal_new_run
from experiments.records.run_folder import RunFolder
from experiments.records.seal import unsealed
from experiments.runner.run import run
from rope_dit.errors import Stopped, UserError, check

LOCK_SECONDS = 120.0  # a process whose launcher died may still be writing its last checkpoint


def command(args: list[str], stop: StopFlag) -> int:
    """Read the settings and carry out the run; returns the exit code."""
    if not args or args[0].startswith("-"):
        raise UserError("expected the file of a cell, such as studies/digits/cells/rope2d-s0.json.")
    config = read_cell(Path(args[0]))
    stop_with_launcher()
    _wait_for_lock(config, stop)
    assert config.out is not None, "a cell has a run folder"
    seal_new_run(config.out, Path(args[0]).absolute().parent.parent)
    return run(config, stop)


def read_cell(file: Path) -> RunConfig:
    """Settings of the run that a cell's file asks for. Raises UserError."""
    try:
        found, _ = unsealed(read_json(file, "remove it"), file, "remove it")
        config = from_json(RunConfig, upgraded(found))
        check(config.out is not None, "RunConfig.out", config.out, "the run's folder")
    except (OSError, UserError) as error:
        raise UserError(f"cell {file}: {error}; start the study again.") from None
    check_asked_for(config.plugins, file)
    return config


def stop_with_launcher() -> None:
    """Ask this process to stop once standard input, where it is a pipe, has been closed at the other end."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    if stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=watch, daemon=True, name="launcher").start()


def _wait_for_lock(config: RunConfig, stop: StopFlag) -> None:
    assert config.out is not None, "a cell has a run folder"
    folder, until = RunFolder(config.out), time.monotonic() + LOCK_SECONDS
    while folder.is_locked() and time.monotonic() < until:
        if stop():
            raise Stopped
        time.sleep(0.1)


if __name__ == "__main__":
    main(command)
