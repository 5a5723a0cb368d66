"""The Optuna database in a study's folder: a projection for optuna-dashboard, which no result depends on."""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import optuna

from experiments.records.stores.sqlite_uri import sqlite_uri
from rope_dit.errors import UserError

FILE = "optuna.db"
AT_FAULT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""what SQLite says of a file that is damaged or has other tables, but not of a lock or a full disk"""
LOCKED_SECONDS = 5.0  # that a write waits for another process
T = TypeVar("T")
_log = logging.getLogger(__name__)


def database_url(folder: Path) -> str:
    """URL of the database of a study's folder."""
    return sqlite_uri(folder / FILE)


class Projection:
    """Writes Optuna's side of a study as long as that works.

    Once it does not, because the disk is full or somebody holds the database, it says so and is left as it
    is: the next start of the study makes it again, and so does `study --sync`.

    Args:
        folder: the study's folder.
        name: the study's name, for the message.
    """

    def __init__(self, folder: Path, name: str):
        self.folder, self.name, self.works = folder, name, True
        self._storage: optuna.storages.RDBStorage | None = None

    def attempt(self, write: Callable[[optuna.storages.RDBStorage], T]) -> T | None:
        """Call `write` with the storage, which is empty at first; None where it does not work."""
        if not self.works:
            return None
        try:
            self._storage = self._storage or empty_storage(self.folder)
            return write(self._storage)
        except UserError:  # of what is to be written, not of the database
            raise
        except Exception as error:  # whatever Optuna and SQLAlchemy raise: the folders have it all
            self.works = False
            reason = " ".join(str(next(_sqlite_errors(error), error)).split())[:80]
            _log.warning(
                "%s cannot be written (%s), and nothing else needs it; later: study --sync %s",
                self.folder / FILE, reason, self.name,
            )  # fmt: skip
            return None


def empty_storage(folder: Path) -> optuna.storages.RDBStorage:
    """Open the database of a study's folder, without the studies of an earlier coordinator.

    A file that is damaged, or of another version of Optuna, is replaced, and that is said. One that is only
    locked or cannot be read for now stays.
    """
    quiet()
    try:
        return _emptied(folder)
    except Exception as error:
        codes = [one.sqlite_errorcode & 0xFF for one in _sqlite_errors(error)]
        if not (codes and codes[0] in AT_FAULT) and not (isinstance(error, RuntimeError) and not codes):
            raise
        _log.warning("%s is damaged or of another version; it is made again", folder / FILE)
    for left in folder.glob(f"{FILE}*"):
        left.unlink()
    return _emptied(folder)


def quiet() -> None:
    """Let Optuna and its tools say what is wrong only."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _emptied(folder: Path) -> optuna.storages.RDBStorage:
    waiting = {"connect_args": {"timeout": LOCKED_SECONDS}}
    storage = optuna.storages.RDBStorage(database_url(folder), engine_kwargs=waiting)
    for name in optuna.get_all_study_names(storage):
        optuna.delete_study(study_name=name, storage=storage)
    return storage


def _sqlite_errors(error: BaseException | None) -> Iterator[sqlite3.Error]:
    """The errors of SQLite behind an error, the nearest first."""
    while error is not None:
        for one in (error, getattr(error, "orig", None)):
            if isinstance(one, sqlite3.Error):
                yield one
        error = error.__cause__ or error.__context__
