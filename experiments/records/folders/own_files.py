"""A run's or a study's own files: never links, which would lead what is written there out of the folder."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from rope_dit.errors import UserError
from rope_dit.files import kind_of

FILES = ("lock", "owner", "config.json", "seal.json", "ending.json", "metrics.jsonl", "scores.csv")
FOLDERS = ("checkpoints", "pictures", "samples")
_SENT = ("pictures", "samples")
"""folders whose files are read, or sent to the tracking store, whatever they are called"""


def refuse_links(folder: Path) -> None:
    """Raise UserError where one of a folder's own files is a link, a pipe or a device. Changes nothing."""
    for path in _own(folder):
        try:
            mode = path.lstat().st_mode
        except OSError:  # there is none, or it cannot be reached: whoever opens it will say so
            continue
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise UserError(
                f"{path} is {kind_of(mode)}, expected the folder's own; remove it, "
                "or put in its place what it leads to."
            )


def _own(folder: Path) -> Iterator[Path]:
    yield from (folder / name for name in (*FILES, *FOLDERS))
    for name in _SENT:
        if (folder / name).is_dir():
            with os.scandir(folder / name) as entries:
                yield from (Path(entry.path) for entry in entries)
