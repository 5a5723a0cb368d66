"""URIs of SQLite files, for MLflow and for Optuna. Imports no SQLAlchemy."""

import re
from pathlib import Path
from urllib.parse import unquote

_ODD = re.compile(r"[%?#{}\x00-\x1f\x7f]")  # Optuna takes braces for a template's


def sqlite_uri(file: Path) -> str:
    """URI of a SQLite file, whatever stands in its path.

    >>> sqlite_uri(Path("/a b/mlflow.db")), sqlite_uri(Path("/feature%2Fx/what?/mlflow.db"))
    ('sqlite:////a b/mlflow.db', 'sqlite+pysqlite:////feature%252Fx/what%3F/mlflow.db')
    """
    path = str(file.absolute())
    quoted = _ODD.sub(lambda odd: f"%{ord(odd[0]):02X}", path)
    # MLflow makes the folder of a plain `sqlite:///` before anybody has decoded it
    return f"sqlite{'' if quoted == path else '+pysqlite'}:///{quoted}"


def sqlite_file(uri: str) -> Path | None:
    """File of a sqlite:///FILE, or None for any other URI; `sqlite_uri` is the inverse.

    >>> sqlite_file("sqlite+pysqlite:////feature%252Fx/mlflow.db?timeout=5")
    PosixPath('/feature%2Fx/mlflow.db')
    """
    scheme, _, file = uri.partition("?")[0].partition(":///")
    return Path(unquote(file)) if scheme in ("sqlite", "sqlite+pysqlite") and file else None


def absolute(uri: str) -> str:
    """The same store, whatever the current folder is by then; URIs of servers stay as they are."""
    file = sqlite_file(uri)
    _, mark, query = uri.partition("?")
    return f"{sqlite_uri(file)}{mark}{query}" if file else uri
