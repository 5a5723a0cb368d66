"""Folders that a command is to write, looked at before its beginning."""

import os
from pathlib import Path

from rope_dit.errors import UserError


def check_folder(folder: Path, option: str, what: str = "") -> None:
    """Raise UserError where a folder cannot be made or written.

    Args:
        folder: need not be there.
        option: which gives it, such as `--out`.
        what: what it is called in the message; as the option.
    """
    path, mend = folder.absolute(), f"choose another {option}"
    try:
        there = next(p for p in (path, *path.parents) if p.exists() or p.is_symlink())
    except OSError as error:  # a name that is too long, say
        raise UserError(f"{what or option}: {error.strerror}; {mend}.") from None
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{what or option}: {there} is no folder that can be written; {mend}.")
