"""Locks of files: who holds one, for how long, and who is seen to."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from experiments.records.folders.locks import hold, is_held


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lock"


def test_a_lock_is_held_inside_the_block_alone(path):
    assert not is_held(path)
    with hold(path):
        assert is_held(path)
        with pytest.raises(TimeoutError), hold(path, 0.05):
            pass
    assert not is_held(path)
    with pytest.raises(KeyError), hold(path):
        raise KeyError
    assert not is_held(path)


def test_somebody_who_waits_gets_it_and_is_not_seen_before(path):
    with hold(path):
        waiter = threading.Thread(target=lambda: hold(path).__enter__())
        waiter.start()
        time.sleep(0.1)
        assert waiter.is_alive()
    waiter.join(10)
    assert not waiter.is_alive()


def test_a_try_changes_nothing_in_the_file(path):
    path.write_text("text")
    with hold(path), pytest.raises(TimeoutError), hold(path, 0):
        pass
    assert not is_held(path)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_goes_with_the_process(path, number):
    code = (
        "import sys, time; from pathlib import Path; from experiments.records.folders.locks import hold\n"
        "with hold(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        assert is_held(path)
        holder.send_signal(number)
    assert not is_held(path)
    with hold(path, 0):
        pass


def test_a_forked_child_neither_holds_it_nor_lets_go_of_it(path):
    with hold(path):
        ends = os.pipe()
        child = os.fork()
        if not child:
            os.read(ends[0], 1)  # outlives the block
            os._exit(0)
        assert is_held(path)
    seen = is_held(path)
    os.write(ends[1], b"x")
    os.waitpid(child, 0)
    assert not seen


def test_a_folder_that_is_not_there(tmp_path):
    assert not is_held(tmp_path / "nowhere" / "lock")
