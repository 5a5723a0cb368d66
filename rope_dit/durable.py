"""Writing a file so that a crash leaves the old content or the new one. Imports no torch."""

import contextlib
import os
from pathlib import Path


def write_durably(path: Path, data: bytes) -> None:
    """Write a file so that after a crash at any moment either the old or the new content is there, whole.

    Raises:
        OSError: the disk is full, say; it names `path`, and what was there before is untouched.
    """
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name[-40:]}")
    try:
        with open(temporary, "wb") as file:  # a Python file: a full disk is an OSError that tells its reason
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from None
