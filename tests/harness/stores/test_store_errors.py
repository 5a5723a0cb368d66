"""What is said of a store that fails: no secrets, no control characters, and whether it may pass."""

import contextlib
import socket
import sqlite3
import threading

import pytest
from sqlalchemy.exc import OperationalError

from experiments.records import mlflow_store
from experiments.records.mlflow_store import connect
from experiments.records.stores.store_errors import hidden, passes, reason

SECRETS = [
    "postgresql://me:SECRET@host/db",
    "postgresql://me:SEC%2FRET@host/db",
    "postgresql://me:SEC/RET@1@host/db",
    "mysql+x://u:SECRET",
    "mysql+x://u:SECRET/db",
    "mysql://u:123456SECRET",
    "https://SECRET@host:5000/a",
    "https://me:SECRET@host/api",
    "postgresql://host/db?user=me&password=SECRET&x=1",
    "postgresql://host/db?sslmode=require&sslpassword=SECRET",
    "https://host/api?token=SECRET",
]
PLAIN = [
    "http://host:5000/a",
    "postgresql://host:5432/db",
    "sqlite:////a b/mlflow.db",
    "postgresql://me@host/db",
]


@pytest.mark.parametrize("uri", SECRETS)
def test_secrets_are_masked_wherever_they_stand(uri):
    for text in (uri, f"failed at {uri} (again)"):
        assert not any(part in hidden(text) for part in ("SECRET", "SEC%2F", "RET@")), hidden(text)
    assert hidden(uri).split("://")[0] == uri.split("://")[0]


@pytest.mark.parametrize("uri", PLAIN)
def test_what_is_no_secret_stays(uri):
    assert hidden(uri) == uri


def test_a_secret_alone_is_masked_in_what_the_store_says(monkeypatch):
    said = "invalid literal for int() with base 10: 'SECRET'; p@ss, TOKEN1"
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "TOKEN1")
    assert hidden(said, "mysql+x://u:SECRET") == "invalid literal for int() with base 10: '***'; p@ss, ***"
    assert "p@ss" not in hidden(said, "postgresql://u:p%40ss@host/db")


def test_a_reason_is_without_hints():
    said = 'connection to server at "127.0.0.1", port 9 failed: Connection refused'
    hints = "\n\tIs the server running on that host?\n(Background on this error at: https://sqlalche.me/e/21/e3q8)"
    assert reason(OSError(said + hints)) == said


def test_a_reason_is_one_line_that_no_terminal_obeys():
    assert reason(OSError("\x1b[31mred\x07\nand more\x9b2J")) == "\\x1b[31mred\\x07 and more\\x9b2J"


@pytest.mark.parametrize(
    ("error", "later"),
    [
        (ConnectionRefusedError(111, "Connection refused"), True),
        (TimeoutError("no answer for 10 s"), True),
        (sqlite3.OperationalError("database is locked"), True),
        (RuntimeError("API request failed with error code 503 != 200"), True),
        (RuntimeError("FATAL:  the database system is starting up"), True),
        (PermissionError(13, "Permission denied"), False),
        (sqlite3.OperationalError("attempt to write a readonly database"), False),
        (sqlite3.OperationalError("database or disk is full"), False),
        (RuntimeError("Detected out-of-date database schema (found version 1, but expected 2)"), False),
        (RuntimeError('FATAL:  password authentication failed for user "u"'), False),
        (ModuleNotFoundError("No module named 'psycopg'"), False),
    ],
)
def test_what_goes_away_by_itself_is_told_from_what_does_not(error, later):
    assert passes(error) is later
    wrapped = OSError("wrapped")  # as clients do
    wrapped.__cause__ = error
    assert passes(wrapped) is later


def test_a_database_that_never_answers_is_waited_for_once(monkeypatch):
    monkeypatch.setattr(mlflow_store, "CONTACT_SECONDS", 2.0)  # the least that its client takes
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"postgresql+psycopg://u:SECRET@127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(TimeoutError, match="no answer for 2 s") as caught:
            connect(uri)
    assert passes(caught.value)


def test_a_database_that_fails_is_asked_once():
    asked = []

    def turn_away(server: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the server is closed
            while True:
                connection, _ = server.accept()
                asked.append(connection)
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=turn_away, args=(server,))
        thread.start()
        uri = f"postgresql+psycopg://u:SECRET@127.0.0.1:{server.getsockname()[1]}/x?sslmode=disable"
        with pytest.raises(OperationalError) as caught:
            connect(uri)
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert len(asked) <= 2, len(asked)  # its client tries with and without encryption; MLflow asks ten times
    assert passes(caught.value)
    assert "SECRET" not in reason(caught.value)
