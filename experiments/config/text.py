"""Settings and records as text: flat for people and trackers, JSON for files. Imports no torch."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from rope_dit.config import neutral
from rope_dit.errors import UserError

C = TypeVar("C")


def flatten(config: Any, prefix: str = "") -> dict[str, str]:
    """Every field of nested dataclasses as text, named as on the command line: {'train.lr': '0.002', ...}."""
    flat: dict[str, str] = {}
    for key, value in (asdict(config) if not isinstance(config, Mapping) else config).items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = " ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
    return flat


def digest(value: Any) -> str:
    """SHA-256 of JSON values, whatever the order of their fields."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def to_json(record: Any) -> dict[str, Any]:
    """A dataclass as JSON values; `from_json` is the inverse."""
    return json.loads(json.dumps(asdict(record), default=str))  # type: ignore[no-any-return]


def from_json(kind: type[C], saved: Any) -> C:
    """Build a dataclass of this kind, and those inside it, from what `to_json` gave.

    A field that is not there was not known when it was written, and so counts as its neutral value (see
    `rope_dit.config.Neutral`), or where it has none as its default.

    Raises:
        UserError: it is damaged, or of a version that had other fields.
    """
    if not isinstance(saved, dict):
        raise UserError(f"the saved settings are damaged: got {saved!r} for a {kind.__name__}.")
    hints = get_type_hints(kind)
    known: dict[str, Field[Any]] = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(saved.keys() - known.keys()):
        raise UserError(f"the saved settings are of another version: {kind.__name__} has no '{unknown[0]}'.")
    values: dict[str, Any] = {}
    for name, field in known.items():
        if name in saved:
            values[name] = _value(hints[name], saved[name])
        elif (before := neutral(kind, name)) is not MISSING:
            values[name] = before
        elif field.default is MISSING and field.default_factory is MISSING:
            raise UserError(f"the saved settings are damaged: {kind.__name__} lacks '{name}'.")
    try:
        return kind(**values)
    except (TypeError, AttributeError) as error:
        raise UserError(f"the saved settings are of another version: {error}.") from None


def _value(hint: Any, saved: Any) -> Any:
    """A field's value from JSON: dataclasses, tuples and paths inside it are made again."""
    if saved is None:
        return None
    choices = [kind for kind in get_args(hint) if kind is not NoneType]
    if NoneType in get_args(hint) and len(choices) == 1:
        hint = choices[0]
    if isinstance(hint, type) and is_dataclass(hint):
        return from_json(hint, saved)
    if get_origin(hint) is tuple and isinstance(saved, list):
        kinds = get_args(hint)
        item = kinds[0] if kinds[1:] == (...,) else None
        return tuple(_value(item or kinds[min(i, len(kinds) - 1)], one) for i, one in enumerate(saved))
    return Path(saved) if hint is Path and isinstance(saved, str) else saved
