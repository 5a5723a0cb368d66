"""A cache of arrays on disk: written atomically, checked by SHA-256 when read, and never needed."""

import os
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.cli.paths import given
from experiments.datasets.base import sha256
from rope_dit.durable import replacing


def cache_folder() -> Path:
    """`$ROPE_DIT_CACHE`, or ~/.cache/rope-dit. It may be deleted at any time."""
    return given(os.environ.get("ROPE_DIT_CACHE") or "~/.cache/rope-dit")


def read(key: str) -> tuple[NDArray[np.generic], ...] | None:
    """Return the arrays stored under `key`; None if there are none or they are damaged (said on stderr)."""
    path = cache_folder() / f"{key}.npy"
    try:
        with path.open("rb") as file:
            digest = np.load(file, allow_pickle=False)
            size, arrays = os.fstat(file.fileno()).st_size, []
            while file.tell() < size:
                arrays.append(np.load(file, allow_pickle=False))
        if sha256(*arrays) == str(digest):
            return tuple(arrays)
        reason = "its SHA-256 does not match"
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # damaged headers raise anything: ValueError, EOFError, MemoryError, ...
        reason = str(error)
    print(f"warning: the cached pictures {path} are damaged and are decoded again: {reason}", file=sys.stderr)
    return None


def write(key: str, *arrays: NDArray[np.generic]) -> None:
    """Store arrays under `key`. A full or read-only disk is said on stderr, and stops nothing."""
    path = cache_folder() / f"{key}.npy"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            for array in (np.array(sha256(*arrays)), *arrays):
                np.save(file, array)
    except OSError as error:
        print(f"warning: the pictures could not be cached in {path.parent}: {error}", file=sys.stderr)
