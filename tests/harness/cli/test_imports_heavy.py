"""Garbage is not looked for while large libraries are imported, and is afterwards, but for the very end."""

import gc
import subprocess
import sys
import threading

import pytest

from experiments.cli.imports import heavy_imports


def test_it_is_looked_for_again_whatever_happens():
    assert gc.isenabled()
    with heavy_imports():
        assert not gc.isenabled()
        with heavy_imports():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ImportError), heavy_imports():
        import rope_dit.nothing  # noqa: F401
    assert gc.isenabled()


@pytest.mark.parametrize("first_out", ["this", "other"])
def test_two_threads_may_import_at_once(first_out):
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with heavy_imports():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with heavy_imports():
        thread.start()
        inside.wait(10)
        if first_out == "other":
            leave.set()
            thread.join()
    leave.set()
    thread.join()
    assert gc.isenabled()


def test_a_command_ends_without_a_look_for_garbage():
    code = (
        "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 1000))\n"
        "from experiments.cli.main import main; main(lambda args, stop: 0, [])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, "True\n")
