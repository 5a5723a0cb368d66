"""Writing a file so that a crash leaves the old content or the new one. Imports no torch."""

import contextlib
import errno
import os
import shutil
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
def naming(path: Path) -> Iterator[None]:
    """Let an OSError of the block name `path`: that of a write to a full disk, say, names no file."""
    try:
        yield
    except OSError as error:
        number, text = error.errno or errno.EIO, error.strerror or str(error)  # numpy's has a text only
        raise OSError(number, text, str(path)) from None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A temporary file to write to, which takes the place of `path` after the block, as in `write_durably`.

    Where the block raises, nothing is left over.
    """
    temporary = _beside(path)
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
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        with naming(path):
            raise


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A temporary folder to fill, called `path` after the block, which must not be there before.

    Where the block raises, nothing is left over. Raises OSError, which names `path`.
    """
    temporary = _beside(path)
    try:
        with naming(path):
            temporary.mkdir()
            yield temporary
            os.rename(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _beside(path: Path) -> Path:
    # two hosts may share a folder, so a process's number is no name of its own
    return path.with_name(f".tmp-{uuid.uuid4().hex[:12]}-{path.name[-40:]}")
