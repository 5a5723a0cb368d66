"""What goes wrong with a store, in one line to be shown: without secrets and control characters."""

import os
import re
from urllib.parse import unquote

from experiments.cli.main import one_line

_TOKEN = r"(https?://)[^/\s:@]*(?=@)"
_LOGIN = r"(//[^/\s:@]*:)\S*(?=@)"
_NO_HOST = r"((?:postgresql|mysql|mssql)[+\w]*://[^/\s:@]*:)(?!\S*@|\d{1,5}(?![^/?\s]))[^/?\s]+"
_QUERY = r"((?:password|passwd|pwd|token|secret|api_?key)=)[^&\s;'\"]*"
_SECRET = re.compile("|".join((_TOKEN, _LOGIN, _NO_HOST, _QUERY)), re.IGNORECASE)
_BY_ITSELF = re.compile(  # what goes away by itself, in the words of SQLite, libpq, MySQL, requests, MLflow
    r"locked|busy|refused|timed? ?out|no answer|unreachable|no route|reset by|closed the connection"
    r"|lost connection|gone away|broken pipe|remote end closed|temporar|name resolution|try again|not known"
    r"|starting up|shutting down|too many (connections|clients|requests)|\b(429|502|503|504)\b",
    re.IGNORECASE,
)


def hidden(text: str, uri: str = "") -> str:
    """Return a text with the passwords and tokens of URIs in it masked, and those of `uri` wherever they are.

    >>> hidden("postgresql://me:secret@host/db"), hidden("mysql+x://u:secret"), hidden("https://token@host")
    ('postgresql://me:***@host/db', 'mysql+x://u:***', 'https://***@host')
    """
    for secret in sorted(_secrets(uri), key=len, reverse=True):
        text = text.replace(secret, "***")
    return _SECRET.sub(lambda found: f"{next(filter(None, found.groups()))}***", text)


def _secrets(uri: str) -> set[str]:
    """What of a URI, and of MLflow's own variables, nobody may see; as it stands and decoded."""
    masked, found = re.escape(hidden(uri)) if uri else "", set()
    if uri and (whole := re.fullmatch(masked.replace(re.escape("***"), "(.+)"), uri, re.DOTALL)):
        found = {*whole.groups()}
    found |= {os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("PASSWORD", "TOKEN")}
    return {text for secret in found for text in (secret, unquote(secret)) if len(text) >= 3}


def reason(error: BaseException, uri: str = "", limit: int = 100) -> str:
    """Why a store failed, in one line: the first of a chain of errors says why, the others where."""
    first = chain(error)[-1]
    text = re.sub(r"\n[\t(].*", "", str(first).strip())  # hints that libpq and SQLAlchemy add
    return one_line(hidden(text or type(first).__name__, uri), limit)


def chain(error: BaseException) -> list[BaseException]:
    """An error and what led to it, the first cause last."""
    found = [error]
    while cause := found[-1].__cause__ or (not found[-1].__suppress_context__ and found[-1].__context__):
        found.append(cause)
    return found


def passes(error: BaseException) -> bool:
    """Whether what went wrong may go away by itself, so that the same command can do better later."""
    at_hand = chain(error)
    waiting = any(isinstance(one, (ConnectionError, TimeoutError)) for one in at_hand)
    return waiting or any(_BY_ITSELF.search(f"{type(one).__name__}: {one}") for one in at_hand)
