"""What holds of every launcher. One that needs a cluster says in `trial` with which options it needs none.

A spec is tried with those options; one that has other values for them is tried on no machine of ours.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tasks import CELL, drain, python, told_pid

from experiments.config.launch import LaunchConfig
from experiments.config.registries import LAUNCHERS
from experiments.coordinator.launchers import Ended, Launcher, Task, make_launcher
from rope_dit.errors import UserError
from rope_dit.registry import Part

THREADS, WORKERS = 1, 2
SAY = "import os, sys; print('threads', os.environ['OMP_NUM_THREADS']); sys.stderr.write('err'); sys.exit(3)"
DEAF = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("pid", os.getpid(), flush=True)
time.sleep(600)
"""


def tried(spec: str) -> str:
    """The spec with the options with which it can be tried on any machine."""
    part = Part.parse(spec)
    trial = Part.parse(f"x:{claim}") if (claim := LAUNCHERS[part.name].claims.get("trial")) else Part("x")
    given, wanted = dict(part.options), dict(trial.options)
    if given and wanted and given.items() >= wanted.items():
        pytest.skip(f"{part.name} alone is tried with these options")
    if any(given.get(key, value) != value for key, value in wanted.items()):
        pytest.skip(f"needs more than this machine; {part.name} is tried with {claim}")
    return str(Part(part.name, tuple((given | wanted).items())))


@contextmanager
def launching(spec: str) -> Iterator[tuple[Launcher, Path]]:
    """A launcher of two tasks at a time, and a folder for logs."""
    try:
        launcher = make_launcher(LaunchConfig(launcher=tried(spec), workers=WORKERS), THREADS, "cpu")
    except UserError as error:
        if "pip install" not in str(error):
            raise
        pytest.skip(str(error))
    with tempfile.TemporaryDirectory() as folder:
        try:
            yield launcher, Path(folder)
        finally:
            launcher.stop(0)


def check_endings_are_told_once_and_output_is_kept(spec: str) -> None:
    with launching(spec) as (launcher, folder):
        assert launcher.slots == WORKERS
        assert launcher.poll(3600) == []  # at once, as nothing runs
        log = folder / "new" / "says.log"
        launcher.start(Task("says", python(SAY), log))
        launcher.start(Task("none", ("/no/such/program",), folder / "none.log"))
        assert drain(launcher, 2) == [Ended("none", 127), Ended("says", 3)]
        launcher.start(Task("says", python("print('again')"), log))
        assert drain(launcher, 1) == [Ended("says", 0)]
        assert launcher.poll(0) == []
        text = log.read_text()
        assert all(word in text for word in (f"threads {THREADS}", "err", "again")), text
        assert "/no/such/program" in (folder / "none.log").read_text()


def check_stop_lets_tasks_save_and_kills_the_deaf(spec: str) -> None:
    with launching(spec) as (launcher, folder):
        for name, code in (("cell", CELL), ("deaf", DEAF)):
            launcher.start(Task(name, python(code), folder / f"{name}.log"))
        for name in ("cell", "deaf"):
            told_pid(folder / f"{name}.log")
        launcher.stop(2)
        launcher.stop(2)
        assert "checkpoint" in (folder / "cell.log").read_text()
        ended = {one.name: one.code for one in launcher.poll(0)}
        assert ended == {"cell": 143, "deaf": -9}
        assert launcher.poll(0) == []
        with pytest.raises(ValueError, match="stopped"):
            launcher.start(Task("late", python(""), folder / "late.log"))


CHECKS = [check_endings_are_told_once_and_output_is_kept, check_stop_lets_tasks_save_and_kills_the_deaf]
