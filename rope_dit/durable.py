"""Writing a file so that a crash leaves the old content or the new one. Imports no torch."""

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def write_durably(path: Path, data: bytes) -> None:
    """Write a file so that after a crash at any moment either the old or the new content is there, whole.

    Raises:
        OSError: the disk is full, say; it names `path`, and what was there before is untouched.
    """
    with replacing(path) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A temporary file to write to, which takes the place of `path` after the block, as in `write_durably`.

    Where the block raises, nothing is left over.
    """
    # two hosts may share a folder, so a process's number is no name of its own
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex[:12]}-{path.name[-40:]}")
    try:
        with open(temporary, "wb") as file:  # a Python file: a full disk is an OSError that tells its reason
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if not isinstance(error, OSError):
            raise
        number, text = error.errno or errno.EIO, error.strerror or str(error)  # numpy's has a text only
        raise OSError(number, text, str(path)) from None
