"""Imports of libraries so large that looking for garbage in between takes a third of their time."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def heavy_imports() -> Iterator[None]:
    """Do not look for garbage inside the block: imports make many objects and throw none away."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:  # off in another thread's block, at whose end it comes back
            gc.enable()
