"""Settings and records as text: flat for people and trackers, JSON for files. Imports no torch."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from experiments.cli.types import fitted
from rope_dit.config import neutral
from rope_dit.errors import UserError
from rope_dit.files import read_file

C = TypeVar("C")
NOTHING = "-"
"""stands where a field means nothing for a score, such as the time grid of a solver that has none"""


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


def read_json(file: Path, mend: str) -> Any:
    """What a file of JSON holds. Raises UserError where it is none, with what to do about it, and OSError."""
    try:
        return json.loads(read_file(file))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is damaged ({error!r}); {mend}.") from None


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
    damaged = "the saved settings are damaged: "
    if not isinstance(saved, dict):
        raise UserError(f"{damaged}got {saved!a:.60} for a {kind.__name__}.")
    hints = get_type_hints(kind)
    known: dict[str, Field[Any]] = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(saved.keys() - known.keys()):
        raise UserError(f"the saved settings are of another version: {kind.__name__} has no '{unknown[0]}'.")
    values: dict[str, Any] = {}
    for name, field in known.items():
        if name in saved:
            values[name] = _value(f"{damaged}{kind.__name__}.{name}", hints[name], saved[name])
        elif (before := neutral(kind, name)) is not MISSING:
            values[name] = before
        elif field.default is MISSING and field.default_factory is MISSING:
            raise UserError(f"{damaged}{kind.__name__} lacks '{name}'.")
    try:
        return kind(**values)
    except (TypeError, AttributeError) as error:
        raise UserError(f"the saved settings are of another version: {error}.") from None


def _value(name: str, hint: Any, saved: Any) -> Any:
    """A field's value from JSON: dataclasses inside it, alone or in a list, are made again."""
    if isinstance(hint, type) and is_dataclass(hint):
        return from_json(hint, saved)
    item = next(iter(get_args(hint)), None)
    if isinstance(saved, list) and isinstance(item, type) and is_dataclass(item):
        saved = [from_json(item, one) for one in saved]
    return fitted(name, saved, hint)
