"""Mistakes in a user's own files, said as his."""

import contextlib
import traceback
from collections.abc import Iterator
from pathlib import Path

from rope_dit.errors import Stopped, UserError
from rope_dit.registry import PLUGINS


@contextlib.contextmanager
def plugin_errors() -> Iterator[None]:
    """Turn an error inside a plugin's file into a UserError that names the line; for before anything runs."""
    try:
        yield
    except (UserError, Stopped):
        raise
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).parent in PLUGINS]
        if not frames:
            raise
        where = f"{frames[-1].filename}:{frames[-1].lineno}"
        raise UserError(
            f"plugin {where}: {type(error).__name__}: {error}. Mend or remove the file."
        ) from None
