"""The MLflow store: where it is and how to reach it. Imports mlflow only to connect."""

import contextlib
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.cli.imports import heavy_imports
from experiments.records.locks import hold
from rope_dit.errors import UserError

DEFAULT_URI = "sqlite:///mlflow.db"


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or a database in the current folder, which a bare `mlflow ui` shows.

    Raises:
        UserError: the URI is none that can be written, such as a folder of files (MLflow 3 ended them).
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    file = sqlite_file(uri)
    known = re.fullmatch(r"https?://[^/].*|(postgresql|mysql|mssql)(\+\w+)?://.+", uri)
    if not (known or file) or file == Path(":memory:"):
        raise UserError(
            f"MLFLOW_TRACKING_URI got '{hidden(uri)[:60]}', expected sqlite:///FILE, http(s)://HOST or the "
            "URI of a database."
        )
    return uri


def hidden(text: str) -> str:
    """Return a text with the passwords of URIs in it masked.

    >>> hidden("postgresql://me:secret@host/db")
    'postgresql://me:***@host/db'
    """
    secret = r"(//[^/\s:@]*:)[^/\s]*(?=@)|(password=)[^&\s]*"
    return re.sub(secret, lambda found: f"{found[1] or found[2]}***", text)


def connect(uri: str) -> Any:
    """Return an MLflow client that is quiet and gives up soon on a dead server, since we try again.

    Raises:
        OSError: the file is no database.
        MlflowException: the store does not answer or is of another version.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # a repeated create_run could make two
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    file = sqlite_file(uri)
    with heavy_imports():
        import mlflow  # takes seconds

        if file:  # which its client would import, and with it the tools for databases
            import mlflow.store.tracking.sqlalchemy_store

    for name in ("mlflow", "alembic"):  # errors come as exceptions; what is logged has pages
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if file:  # MLflow keeps one store a URI, whatever the current folder is by then
        _, mark, query = uri.partition("?")
        uri = f"sqlite:///{file.absolute()}{mark}{query}"
    with _first_contact(file):
        if file and not (file.exists() and file.stat().st_size):
            _make_database(file)
        return mlflow.MlflowClient(uri)


@contextlib.contextmanager
def _first_contact(file: Path | None) -> Iterator[None]:
    """Let one process at a time make the tables of a SQLite store; several at once break each other's."""
    if file is None:
        yield
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with hold(Path(f"{file}.lock")):
        if file.exists():
            with open(file, "rb+") as database:
                if database.read(15) not in (b"", b"SQLite format 3"):
                    # MLflow would try ten times, for 100 s
                    raise OSError(f"{file.name} is no SQLite database")
        yield


def _make_database(file: Path) -> None:
    """Make all tables beside the place, then rename: killed half way, it would be a store for no one."""
    import mlflow

    fresh = file.with_name(f"{file.name}.new")
    for left in file.parent.glob(f"{fresh.name}*"):
        left.unlink()
    mlflow.MlflowClient(f"sqlite:///{fresh.absolute()}")
    os.replace(fresh, file)


def sqlite_file(uri: str) -> Path | None:
    """File of a sqlite:///FILE, or None for any other URI."""
    scheme, _, file = uri.partition("?")[0].partition(":///")
    return Path(file) if scheme == "sqlite" and file else None


def artifact_location(uri: str, experiment: str) -> str | None:
    """A local store's artifacts lie beside it, wherever the command is started; a server decides itself."""
    file = sqlite_file(uri)
    return (file.resolve().parent / "mlartifacts" / experiment).as_uri() if file else None
