"""Reading a file that somebody names: what is no file may last for ever. Imports no torch."""

import errno
import os
import stat
from pathlib import Path

MOST_BYTES = 2**31
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a link",
}


def read_file(path: Path, most: int = MOST_BYTES) -> bytes:
    """Content of a file, or of the one that a link leads to; waits for nobody.

    Raises:
        OSError: there is none, or something else (a pipe, a device, a folder), or it has more than `most`
            bytes; `strerror` says which, and `filename` where.
    """
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would wait for a writer
    try:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, f"is {kind_of(found.st_mode)}", str(path))
        if found.st_size > most:
            raise OSError(errno.EFBIG, f"has {found.st_size} bytes, more than {most}", str(path))
        with os.fdopen(number, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(number)


def kind_of(mode: int) -> str:
    """What something that is no file is, in words.

    >>> kind_of(os.stat("/dev/null").st_mode)
    'a device'
    """
    return _KINDS.get(stat.S_IFMT(mode), "no file")
