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
    except (Exception, SystemExit) as error:  # sys.exit(0) would end a command as if all were done
        frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).parent in PLUGINS]
        if not frames:
            raise
        where = f"{frames[-1].filename}:{frames[-1].lineno}"
        raise UserError(
            f"plugin {where}: {type(error).__name__}: {error}. Mend or remove the file."
        ) from None


def check_asked_for(plugins: object, place: object) -> None:
    """Refuse what was made with a folder of plug-ins where none is given now.

    Code that lies where a record says is run only if asked for: the record may be somebody else's.

    Args:
        plugins: the folder, as the record has it; None or '' for none.
        place: the record, for the message.
    """
    if plugins and not PLUGINS:
        raise UserError(f"{place} was made with --plugins {plugins}; give --plugins with that folder.")
