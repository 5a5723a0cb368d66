"""Mistakes in a user's own files, said as his."""

import contextlib
import os
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

from rope_dit.errors import Stopped, UserError, is_out_of_memory
from rope_dit.registry import PLUGINS, REGISTRIES, Entry


@contextlib.contextmanager
def plugin_errors(*taking_part: Entry) -> Iterator[None]:
    """Turn what a plug-in's file raises, sys.exit too, into a UserError that names item, file and line.

    Args:
        taking_part: items that the block is about. Where some are plug-ins, an error in code that ships is
            said of them: it cannot use what they returned.
    """
    try:
        yield
    except (UserError, Stopped):
        raise
    except (Exception, SystemExit) as error:
        own = [entry for entry in taking_part if entry.is_plugin]
        frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).parent in PLUGINS]
        if is_out_of_memory(error) or not (frames or (own and isinstance(error, Exception))):
            raise
        if frames:
            file, line = Path(frames[-1].filename), f":{frames[-1].lineno}"
            items = _named([entry for entry in own if entry.path == file] or _registered(file))
            where = f"{items or 'plug-in'} ({_shown(file)}{line})"
        else:
            where = f"{_named(own)} ({', '.join(sorted({_shown(entry.path) for entry in own}))})"
        raise UserError(f"{where}: {_said(error)}. Mend or remove the file.") from None


def check_asked_for(plugins: object, place: object) -> None:
    """Refuse what was made with a folder of plug-ins where none is given now.

    Code that lies where a record says is run only if asked for: the record may be somebody else's.

    Args:
        plugins: the folder, as the record has it; None or '' for none.
        place: the record, for the message.
    """
    if plugins and not PLUGINS:
        raise UserError(f"{place} was made with --plugins {plugins}; give --plugins with that folder.")


def _registered(file: Path) -> list[Entry]:
    """What a plug-in's file registers."""
    return [entry for registry in REGISTRIES.values() for entry in registry if entry.path == file]


def _named(entries: Iterable[Entry]) -> str:
    """Kind and name of each, as in `variant 'mine'`."""
    kinds = [(registry.kind, registry.entries()) for registry in REGISTRIES.values()]
    names = [f"{kind} '{e.name}'" for e in entries for kind, known in kinds if known.get(e.name) is e]
    return ", ".join(dict.fromkeys(names))


def _shown(file: Path) -> str:
    """A file as it is seen from the current folder, where it lies below that."""
    return os.path.relpath(file) if file.is_relative_to(Path.cwd()) else str(file)


def _said(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"called sys.exit({'' if error.code is None else repr(error.code)})"
    return f"{type(error).__name__}: {error}".rstrip(".: ")
