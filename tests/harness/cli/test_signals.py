"""Signals: which ask to stop, which stay ignored, a Ctrl-C while a command is imported; unread output."""

import os
import signal
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from commands import QUICK, call, finished_fixture, process, trained, until, wait, work_elsewhere  # noqa: F401

from experiments.cli.main import STOPPING, StopFlag, main
from experiments.records.run_folder import Ending, RunFolder
from experiments.run import command

LONG = [*QUICK, "--train.steps", "100000", "--train.log-every", "1", "--out", "run"]
STOPPED = "error: stopped by a signal; the same command goes on from here.\n"


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_asks_to_stop(number):
    with StopFlag().listen() as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop()
        assert stop.exit_code == STOPPING[number]
    assert signal.getsignal(number) != stop._set


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_that_was_ignored_stays_so(number):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with StopFlag().listen() as stop:
            os.kill(os.getpid(), number)
            assert not stop()
    finally:
        signal.signal(number, before)


def work() -> int:
    import experiments.runner.execute  # noqa: F401

    try:
        main(command, LONG)
    except SystemExit as end:
        return int(str(end.code))
    return 1


def test_a_closed_terminal_saves_and_ends_with_129():
    with process(work) as pid:
        until(lambda: trained(3))
        os.kill(pid, signal.SIGHUP)
        assert wait(pid) == 129
    assert RunFolder(Path("run")).ending == Ending("KILLED", "stopped")
    (file,) = Path("run/checkpoints").iterdir()
    assert int(file.name[:8]) >= 3


def test_under_nohup_it_goes_on():
    def ignoring() -> int:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        return work()

    with process(ignoring) as pid:
        until(lambda: trained(3))
        os.kill(pid, signal.SIGHUP)
        steps = Path("run/metrics.jsonl").read_bytes().count(b"\n")
        until(lambda: trained(steps + 20))
        os.kill(pid, signal.SIGTERM)
        assert wait(pid) == 143


@pytest.mark.parametrize("module", ["experiments.run", "experiments.coordinator.worker", "analysis.report"])
def test_ctrl_c_while_a_command_is_imported_is_one_line(module):
    words = [sys.executable, "-X", "importtime", "-m", module]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as begun:
        for line in begun.stderr:
            if line.endswith(" experiments\n"):  # is imported; much comes after it
                begun.send_signal(signal.SIGINT)
                break
        rest = begun.stderr.read()
    assert begun.returncode == 130
    assert rest.endswith(STOPPED)
    assert "Traceback" not in rest


def test_who_imports_the_harness_keeps_his_own_ctrl_c():
    code = "import signal; import experiments; print(signal.getsignal(2) is signal.default_int_handler)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "True\n"


@pytest.mark.parametrize("words", [(), ("--list", "grids")])
def test_a_full_disk_under_the_output_stops_no_work(words, capfd):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "w") as full, redirect_stdout(full), pytest.raises(SystemExit) as end:
        main(command, words or [*QUICK, "--out", "run"])
    assert end.value.code == 1
    said = "error: the output cannot be written (No space left on device); the work goes on.\n"
    assert capfd.readouterr().err == said
    if not words:
        assert RunFolder(Path("run")).ending == Ending("FINISHED", "finished")
