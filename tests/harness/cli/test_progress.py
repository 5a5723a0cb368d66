"""A bar on a terminal, plain lines elsewhere."""

import contextlib
import fcntl
import os
import re
import struct
import termios
import threading

from commands import QUICK, finished_run, use

from experiments.cli.main import StopFlag
from experiments.cli.progress import Progress
from experiments.run import command


def test_a_terminal_gets_a_bar(tmp_path, tmp_path_factory, monkeypatch):
    use(finished_run(tmp_path_factory), monkeypatch, tmp_path)
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))  # a new one has no columns
    seen = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError):  # the other end was closed
            while block := os.read(ours, 65536):
                seen.extend(block)

    reader = threading.Thread(target=read)
    reader.start()
    with open(theirs, "w") as terminal, contextlib.redirect_stdout(terminal):
        code = command([*QUICK, "--out", "run"], StopFlag())
    reader.join()
    os.close(ours)
    text = seen.decode()
    assert code == 0
    assert re.search(r"\rtraining: +\d+%\|.*\| \d+/20 \[", text)
    assert "\rsampling euler-1:" in text
    assert "fd_digits" in text


def test_elsewhere_a_plain_line_now_and_then(capsys):
    bar = Progress("training", 20, "step", done=4, every_seconds=0)
    bar.update(4)
    assert capsys.readouterr().out == ""
    bar.update(12, "loss 1.5")
    bar.close()
    assert re.fullmatch(r"training: 12/20 steps, \d+ s left, loss 1\.5\n", capsys.readouterr().out)
    rare = Progress("training", 20, "step")
    rare.update(12)
    assert capsys.readouterr().out == ""
