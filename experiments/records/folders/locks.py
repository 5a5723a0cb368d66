"""Locks that go with the process that holds them, however it ends: flock(2), through the filelock library."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

POLL_SECONDS = 0.02


@contextlib.contextmanager
def hold(path: Path, seconds: float = -1) -> Iterator[None]:
    """Hold the lock of that file alone inside the block; children that are forked there do not hold it.

    Args:
        path: made where it is missing, and left where it is. Its content means nothing.
        seconds: how long to wait for another holder; below 0: for ever.

    Raises:
        TimeoutError: another process, or another part of this one, has held it all that time.
        OSError: the file cannot be opened, or its file system knows no flock.
    """
    from filelock import FileLock  # not at the top: --help needs no lock

    # without flock the library would make do with the file's being there, which a kill -9 does not undo
    lock = FileLock(path, seconds, thread_local=False, poll_interval=POLL_SECONDS, fallback_to_soft=False)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock of that file.

    Asked by a shared lock for an instant, so that others who ask at the same time see nobody.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):  # a link is nobody's lock, and `hold` refuses it
            return False
        raise
    try:
        fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)  # let go of as the file is closed
    except BlockingIOError:
        return True
    finally:
        os.close(number)
    return False
