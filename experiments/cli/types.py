"""Whether values are of the types that settings say, for what comes from JSON or from a user's own file.

Imports no torch.
"""

import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from rope_dit.config import option
from rope_dit.errors import UserError

_WORDS = {
    bool: "True or False",
    int: "a whole number",
    float: "a finite number",
    str: "a text",
    Path: "a path",
}


def fitted(name: str, value: Any, hint: Any) -> Any:
    """The value where it is of that type; lists become tuples and texts paths where the hint wants such.

    Args:
        name: what it is called in messages.
        value: any.
        hint: a type as dataclasses have it; `get_type_hints` has taken Annotated away.

    Raises UserError where it is of another.

    >>> fitted("n", [1, 2], tuple[int, ...])
    (1, 2)
    """
    if NoneType in get_args(hint):
        kind = next(kind for kind in get_args(hint) if kind is not NoneType)
        return None if value is None else fitted(name, value, kind)
    if get_origin(hint) is tuple and isinstance(value, (tuple, list)):
        kinds = get_args(hint)
        several = kinds[1:] == (...,)
        if several or len(value) == len(kinds):
            each = kinds[:1] * len(value) if several else kinds
            return tuple(fitted(name, one, kind) for one, kind in zip(value, each, strict=True))
    elif hint is Path and isinstance(value, str):
        return Path(value)
    elif is_dataclass(hint) and isinstance(value, hint):  # type: ignore[arg-type]
        check_types(value, f"{name}.")
        return value
    elif _fits(value, hint):
        return value
    raise UserError(f"{name} got {value!a:.60}, expected {expected(hint)}.")


def check_types(config: Any, prefix: str = "") -> None:
    """Raise UserError for the first field of a dataclass, or of those in it, that is of another type."""
    hints = get_type_hints(type(config))
    for field in fields(config):
        fitted(prefix + option(field.name), getattr(config, field.name), hints[field.name])


def expected(hint: Any) -> str:
    """A type in words.

    >>> expected(tuple[str, ...]), expected(int), expected(Literal["on", "off"])
    ('several, each a text', 'a whole number', 'one of on, off')
    """
    kinds = get_args(hint)
    if NoneType in kinds:
        return f"{expected(kinds[0])} or None"
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, kinds))}"
    if get_origin(hint) is tuple:
        if kinds[1:] == (...,):
            return f"several, each {expected(kinds[0])}"
        return f"{len(kinds)} values"
    if issubclass(get_origin(hint) or hint, Mapping):
        return "values by name"
    return _WORDS.get(hint) or f"a {hint.__name__}"


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type that holds no others but by name."""
    if hint is Any:
        return True
    if get_origin(hint) is Literal:
        return isinstance(value, str) and value in get_args(hint)
    if get_origin(hint) is not None and issubclass(get_origin(hint), Mapping):
        _, kind = get_args(hint)
        known = isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
        return known and all(_fits(one, kind) for one in value.values())
    if hint is float:  # which holds no whole number of 400 digits
        most = sys.float_info.max
        return isinstance(value, (int, float)) and not isinstance(value, bool) and -most <= value <= most
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(hint, type) and isinstance(value, hint)
