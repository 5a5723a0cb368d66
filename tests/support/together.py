"""Processes that are the ranks of one piece of work, as torchrun would start them, forked from the test's."""

import os
import pickle
import signal
import socket
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

TOO_LONG = 120.0


def together(size: int, folder: Path, work: Callable[[int], Any]) -> list[Any]:
    """What `work(rank)` gives in `size` processes, or the exception that it raises, or how it ended.

    As under torchrun, the others are sent SIGTERM once one has failed. Standard output and error of rank r
    are appended to `folder`/r.out and r.err.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    pids = [_fork(rank, size, port, folder, work) for rank in range(size)]
    waiting, codes, until = set(range(size)), [0] * size, time.monotonic() + TOO_LONG
    while waiting:
        assert time.monotonic() < until or not [os.kill(pids[r], signal.SIGKILL) for r in waiting], "hangs"
        for rank in list(waiting):
            pid, status = os.waitpid(pids[rank], os.WNOHANG)
            if pid:
                waiting.remove(rank)
                codes[rank] = os.waitstatus_to_exitcode(status)
                if codes[rank]:
                    for other in waiting:
                        os.kill(pids[other], signal.SIGTERM)
        time.sleep(0.005)
    return [_result(folder / f"{rank}.result", codes[rank]) for rank in range(size)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _fork(rank: int, size: int, port: int, folder: Path, work: Callable[[int], Any]) -> int:
    if pid := os.fork():
        return pid
    code = 1
    try:
        names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
        os.environ |= {key: str(value) for key, value in names.items()}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        for stream, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(folder / f"{rank}.{name}", os.O_CREAT | os.O_WRONLY | os.O_APPEND), stream)
        try:
            result = work(rank)
            code = 0
        except Exception as error:
            traceback.print_exc()
            result = error
        (folder / f"{rank}.result").write_bytes(pickle.dumps(_plain(result)))
    finally:
        os._exit(code)


def _plain(result: Any) -> Any:
    """Exceptions as (type, text), for not all of them can be unpickled."""
    return (type(result), str(result)) if isinstance(result, Exception) else result


def _result(file: Path, code: int) -> Any:
    return pickle.loads(file.read_bytes()) if file.exists() else code
