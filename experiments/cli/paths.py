"""Paths as users give them."""

from pathlib import Path

from rope_dit.errors import UserError


def given(path: str | Path) -> Path:
    """The path that a user means: `~` is replaced, the rest stays, as messages should say it.

    Raises UserError for the home of nobody.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UserError(f"got '{path}', but there is no home of that name; write the path in full.") from None


def everywhere(path: str | Path) -> Path:
    """As `given`, and the same path in every working directory: for what is kept, or used elsewhere."""
    return given(path).absolute()
