"""The SQLite file of a local store, looked at without MLflow: whose it is, and where its artifacts lie.

MLflow keeps for each experiment and each run where its artifacts are, by absolute paths, and knows no way to
change them. So that a project may be moved or renamed, ours are looked for beside the store's file.
"""

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

FOLDER = "mlartifacts"
_OURS = re.compile(rf"(file:.*)/{FOLDER}/([^/]+(?:/[0-9a-f]{{32}}/artifacts)?)")
_COLUMNS = {"experiment_id", "name", "artifact_location", "lifecycle_stage"}


def artifact_location(file: Path, experiment: str) -> str:
    """URI of the folder in which a local store's artifacts lie, beside it."""
    return (file.resolve().parent / FOLDER / experiment).as_uri()


def at_home(uri: str, file: Path) -> str:
    """Where artifacts that are on record at `uri` lie today.

    That is beside the store's file, unless that alone was copied and they have stayed where they were.
    """
    ours = _OURS.fullmatch(uri)
    if ours is None:
        return uri
    home = f"{(file.resolve().parent / FOLDER).as_uri()}/{ours[2]}"
    stayed = home != uri and path_of(uri).exists() and not path_of(home).exists()
    return uri if stayed else home


def path_of(uri: str) -> Path:
    """Path of a file: URI."""
    return Path(unquote(urlsplit(uri).path))


def check_database(file: Path, seconds: float) -> bool:
    """Whether a file is a store that has its tables; no file, or an empty one, is none yet.

    Raises:
        OSError: it is no database or another program's.
        TimeoutError: another program has locked it all that time.
    """
    if not (file.exists() and file.stat().st_size):
        return False
    with open(file, "rb") as content:
        if content.read(15) != b"SQLite format 3":
            raise OSError(f"{file.name} is no SQLite database")  # MLflow would try ten times, for 100 s
    with _opened(file, seconds) as database:
        tables = {name for (name,) in database.execute("select name from sqlite_master where type = 'table'")}
        columns = {name for (name,) in database.execute("select name from pragma_table_info('experiments')")}
    if tables and not columns >= _COLUMNS:
        raise OSError(f"{file.name} is a database of another program, not MLflow's")
    return bool(tables)


def bring_home(file: Path, seconds: float) -> None:
    """Put on record where the artifacts lie today, so that MLflow's pages and clients find them too."""
    with _opened(file, seconds) as database:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            found = database.execute(f"select distinct {column} from {table}").fetchall()
            moved = [(home, uri) for (uri,) in found if uri and (home := at_home(uri, file)) != uri]
            database.executemany(f"update {table} set {column} = ? where {column} = ?", moved)
        database.commit()


@contextlib.contextmanager
def _opened(file: Path, seconds: float) -> Iterator[sqlite3.Connection]:
    uri = f"{file.absolute().as_uri()}?mode=rw"  # where only reading is allowed, SQLite makes do with that
    try:
        with contextlib.closing(sqlite3.connect(uri, seconds, uri=True)) as database:
            yield database
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise OSError(f"{file.name}: {error}") from None
        raise TimeoutError(f"{file.name} is locked by another program for {seconds:.0f} s") from None
    except sqlite3.DatabaseError as error:
        raise OSError(f"{file.name}: {error}") from None
