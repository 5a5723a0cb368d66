"""Folders that a command is to write at its end, looked at before its beginning."""

import os
from pathlib import Path

from rope_dit.errors import UserError


def check_folder(folder: Path, option: str) -> None:
    """Raise UserError, with the option that gave it, where a folder cannot be made or written."""
    path = folder.absolute()
    there = next(p for p in (path, *path.parents) if os.path.lexists(p))
    if not there.is_dir():
        raise UserError(f"{option}: {there} is a file, expected a folder; choose another {option}.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{option}: {there} cannot be written; choose another {option}.")
