"""The MLflow store: where it is and how to reach it. Imports mlflow only to connect."""

import logging
import os
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from experiments.cli.commands import typed
from experiments.cli.imports import heavy_imports
from experiments.records.definition import is_study
from experiments.records.folders.locks import hold
from experiments.records.stores import local_store
from experiments.records.stores.sqlite_uri import absolute, sqlite_file, sqlite_uri
from experiments.records.stores.store_errors import hidden, passes, reason
from rope_dit.errors import UserError

DEFAULT_URI = "sqlite:///mlflow.db"
CONTACT_SECONDS = 10.0
"""how long a store has for its first answer; MLflow itself would try ten times, for 100 s"""
_MAKING_SECONDS = 120.0  # while another process makes the tables of a new store
_TAKE_TIMEOUT = re.compile(r"(postgresql(\+psycopg2?)?|mysql(\+(pymysql|mysqldb))?)://")


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or a database in the current folder, which a bare `mlflow ui` shows.

    Raises:
        UserError: the URI is none that can be written, such as a folder of files (MLflow 3 ended them).
    """
    return checked(os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI, "MLFLOW_TRACKING_URI")


def checked(uri: str, name: str) -> str:
    """A store's URI as it is. Raises UserError, with the `name` of the setting, where it can be none."""
    known = re.fullmatch(r"https?://[^/].*|(postgresql|mysql|mssql)(\+\w+)?://.+", uri)
    file = sqlite_file(uri)
    if not (known or file) or file == Path(":memory:") or not _port_is_a_number(uri):
        raise UserError(
            f"{name} got '{hidden(uri)[:60]}', expected sqlite:///FILE, http(s)://HOST or the "
            "URI of a database."
        )
    return uri


def _port_is_a_number(uri: str) -> bool:
    try:
        return urlsplit(uri).port is None or bool(uri)
    except ValueError:  # as in user:password without a host, which SQLAlchemy would print
        return bool(sqlite_file(uri))


def connect(uri: str, *, reading: bool = False) -> Any:
    """Return an MLflow client that is quiet and gives up soon on a dead server, since we try again.

    Args:
        uri: of the store; a SQLite store is made where there is none, and told where its artifacts lie.
        reading: leave a SQLite store and its folder as they are.

    Raises:
        TimeoutError: the store has not answered for CONTACT_SECONDS.
        OSError: the file is no database, or another program's.
        MlflowException, SQLAlchemyError, ImportError: the store cannot be reached or is of another version.
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
    if file is None:
        return mlflow.MlflowClient(_answering(uri))
    _prepare(file, reading)
    return mlflow.MlflowClient(absolute(uri))  # MLflow keeps one store a URI, whatever the folder is by then


def _prepare(file: Path, reading: bool) -> None:
    """Make sure of a SQLite store before MLflow sees it.

    One process at a time makes the tables; several at once break each other's.
    """
    if reading:
        local_store.check_database(file, CONTACT_SECONDS)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with hold(Path(f"{file}.lock"), _MAKING_SECONDS):
        if not local_store.check_database(file, CONTACT_SECONDS):
            _make_database(file)
        local_store.bring_home(file, CONTACT_SECONDS)


def _make_database(file: Path) -> None:
    """Make all tables beside the place, then rename: killed half way, it would be a store for no one."""
    import mlflow
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    fresh = file.with_name(f"{file.name}.new")
    for left in file.parent.glob(f"{fresh.name}*"):
        left.unlink()
    mlflow.MlflowClient(sqlite_uri(fresh))
    os.replace(fresh, file)
    for uri, engine in SqlAlchemyStore._engine_map.items():
        if sqlite_file(uri) == file.absolute():  # its connections are to a file that was there before
            engine.dispose()


def _answering(uri: str) -> str:
    """The URI for MLflow, of a database once it has answered; a server of MLflow's is asked once anyway."""
    if uri.startswith("http"):
        return uri
    from sqlalchemy import NullPool, create_engine
    from sqlalchemy.exc import OperationalError

    if _TAKE_TIMEOUT.match(uri) and "connect_timeout=" not in uri:
        uri = f"{uri}{'&' if '?' in uri else '?'}connect_timeout={CONTACT_SECONDS:.0f}"
    begun = time.monotonic()
    try:
        create_engine(uri, poolclass=NullPool).connect().close()
    except OperationalError:
        if time.monotonic() - begun < CONTACT_SECONDS - 1:
            raise
        raise TimeoutError(f"no answer for {CONTACT_SECONDS:.0f} s") from None
    return uri


def check_experiment(name: str, *, join: bool = True) -> None:
    """Raise UserError where the store will never take what an experiment's runs leave; before they begin.

    Where it holds a study, only those enter that `join`: others could be taken for the study's own. A store
    that is down, and may be back, is no reason to wait: it is sent all of it later.
    """
    uri = tracking_uri()
    file = sqlite_file(uri)
    try:
        if file and not file.exists():  # made beside the training
            file.parent.mkdir(parents=True, exist_ok=True)
            if not os.access(file.parent, os.W_OK):
                raise PermissionError(f"{file.parent} cannot be written")
            return
        found = connect(uri).get_experiment_by_name(name)
    except Exception as error:  # whatever the store's client raises
        if passes(error):
            return
        raise UserError(
            f"MLflow at {hidden(uri)} cannot be written ({reason(error, uri, 80)}); mend that, or set "
            "MLFLOW_TRACKING_URI to another store."
        ) from None
    if found and found.lifecycle_stage == "deleted":
        raise UserError(*deleted(name, found.experiment_id, uri))
    if found and is_study(found) and not join:
        raise UserError(
            f"experiment '{name}' is a study, which a run by itself does not enter unasked; choose another "
            "--study, or --join it: its report names such runs, and uses only its own."
        )


def deleted(name: str, number: str, uri: str) -> tuple[str, list[str]]:
    """What to say of an experiment that somebody deleted in MLflow: one line, and the command that helps."""
    file = sqlite_file(uri)
    where = f"MLFLOW_TRACKING_URI={typed(sqlite_uri(file))} " if file else ""
    return (
        f"experiment '{name}' was deleted in MLflow, which takes no runs for it; choose another name, or "
        "restore it:",
        [f"{where}mlflow experiments restore --experiment-id {number}"],
    )


def chosen(runs: list[Any]) -> Any:
    """Which of several MLflow runs of one run folder counts: that with most metrics, then the newest."""
    return max(runs, key=lambda run: (len(run.data.metrics), run.info.end_time or 0, run.info.run_id))


def pages(uri: str, page: str = "") -> str:
    """Where people see a store, or one page of it; a command as it can be typed.

    >>> pages("sqlite:////a b/mlflow.db"), pages("http://host:5000", "/#/experiments/1")
    ("mlflow ui --backend-store-uri 'sqlite:////a b/mlflow.db'", 'http://host:5000/#/experiments/1')
    """
    if uri.startswith("http"):
        return f"{hidden(uri).rstrip('/')}{page}"
    command = typed("mlflow", "ui", "--backend-store-uri", hidden(uri))
    return f"{command}, then http://127.0.0.1:5000{page}" if page else command


def experiment_id(client: Any, name: str) -> str:
    """Id of the experiment of that name, which is made where there is none.

    Raises what MLflow's client raises, and UserError for one that was deleted.
    """
    if (found := client.get_experiment_by_name(name)) is None:
        try:
            location = artifact_location(client.tracking_uri, name)
            return str(client.create_experiment(name, artifact_location=location))
        except Exception:
            if (found := client.get_experiment_by_name(name)) is None:  # else another process was faster
                raise
    if found.lifecycle_stage == "deleted":
        raise UserError(f"experiment '{name}' was deleted in MLflow")
    return str(found.experiment_id)


def artifact_location(uri: str, experiment: str) -> str | None:
    """A local store's artifacts lie beside it, wherever the command is started; a server decides itself."""
    file = sqlite_file(uri)
    return local_store.artifact_location(file, experiment) if file else None
