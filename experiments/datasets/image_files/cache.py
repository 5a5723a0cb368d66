"""A cache of arrays on disk: written atomically, checked by SHA-256 when read, and never needed.

A file holds the arrays' SHA-256, the arrays, and a SHA-256 of its key with that of the arrays, so that those
under another's name are noticed. Earlier versions neither wrote nor read the last part.
"""

import errno
import os
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.cli.paths import given
from experiments.datasets.base import sha256
from rope_dit.durable import replacing
from rope_dit.errors import UserError


def cache_folder() -> Path:
    """`$ROPE_DIT_CACHE`, or ~/.cache/rope-dit. It may be deleted at any time.

    Raises OSError where the user has no home, as in some containers.
    """
    try:
        return given(os.environ.get("ROPE_DIT_CACHE") or "~/.cache/rope-dit")
    except UserError:
        raise FileNotFoundError(errno.ENOENT, "there is no home folder; set ROPE_DIT_CACHE") from None


def read(key: str) -> tuple[NDArray[np.generic], ...] | None:
    """Return the arrays stored under `key`; None if there are none or they are damaged (said on stderr)."""
    try:
        path = cache_folder() / f"{key}.npy"
        with path.open("rb") as file:
            digest, arrays = np.load(file, allow_pickle=False), list[NDArray[np.generic]]()
            while file.peek(1):
                arrays.append(np.load(file, allow_pickle=False))
        mark = arrays.pop() if arrays and arrays[-1].dtype.kind == "U" else None
        if sha256(*arrays) != str(digest):
            reason = "its SHA-256 does not match"
        elif mark is None:
            reason = "an earlier version did not write whose they are"
        elif _mark(key, str(digest)) != str(mark):
            reason = "they belong to another folder"
        else:
            return tuple(arrays)
    except OSError:  # none there, or none that can be read: `write` says what is wrong
        return None
    except Exception as error:  # damaged headers raise anything: ValueError, EOFError, MemoryError, ...
        reason = str(error)
    print(f"warning: the cached pictures {path} are not used, but decoded again: {reason}", file=sys.stderr)
    return None


def write(key: str, *arrays: NDArray[np.generic]) -> None:
    """Store arrays under `key`. A full or read-only disk is said on stderr, and stops nothing."""
    try:
        path = cache_folder() / f"{key}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            digest = sha256(*arrays)
            for part in (np.array(digest), *arrays, np.array(_mark(key, digest))):
                np.save(file, part)
    except OSError as error:
        print(f"warning: the pictures could not be cached ({error}); they are decoded anew each time",
              file=sys.stderr)  # fmt: skip


def _mark(key: str, digest: str) -> str:
    return sha256(text=[key, digest])
