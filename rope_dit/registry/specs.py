"""Specs as text: names with options, and the one way in which values are written.

    spec := part ('+' part)*        part := name [':' key=value (',' key=value)*]

>>> str(Part.parse("heun:steps=25,grid=shifted"))
'heun:grid=shifted,steps=25'
"""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rope_dit.errors import UserError

Value = bool | int | float | str | tuple[float, ...]
Text = str
"""annotation of an option whose value is any text that the grammar can hold, such as HOST:PORT or a path.
No name for folders can be made of it; as default it may be empty, which is left out of specs"""
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class FreeText(str):
    """Marks an option that is annotated as Text; its values are plain strings."""


class NumberList(tuple[float, ...]):
    """Marks an option that is annotated as tuple[float, ...], at least one number; its values are plain."""


_NUMBER = r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE]-?[0-9]+)?"
TYPES: dict[str, type] = {"bool": bool, "int": int, "float": float, "str": str, "Text": FreeText}
TYPES["tuple[float, ...]"] = NumberList
TEXTS: dict[type, tuple[str, str]] = {
    bool: (r"true|false", "true or false"),
    int: (r"-?[0-9]+", "a whole number"),
    float: (_NUMBER, "a finite number"),
    NumberList: (rf"{_NUMBER}(/{_NUMBER})*", "numbers joined by '/', as in 0/0.5/1"),
    str: (r"[A-Za-z0-9_]+", "letters, digits and '_'"),  # no '-' and no '.', so that slugs stay unique
    FreeText: (r"[^\s,;+=]*", "a text without white space and without , ; + ="),
}


@dataclass(frozen=True)
class Part:
    """One `name:key=value,...` of a spec, as written: values are still text, keys are sorted."""

    name: str
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Part":
        """Split one part of a spec; what the names and values mean is the registry's business."""
        name, colon, rest = text.strip().partition(":")
        if not NAME.fullmatch(name):
            raise UserError(f"spec '{text}': got the name '{name}', expected letters, digits and '_'.")
        pairs = [item.partition("=") for item in rest.split(",")] if colon else []
        for key, equals, value in pairs:
            if not (NAME.fullmatch(key.strip()) and equals and value.strip()):
                raise UserError(f"spec '{text}': got '{key}{equals}{value}', expected key=value.")
        keys = [key.strip() for key, _, _ in pairs]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise UserError(f"spec '{text}': '{min(twice)}' is given twice; give it once.")
        return cls(name, tuple(sorted((key.strip(), value.strip()) for key, _, value in pairs)))

    def __str__(self) -> str:
        return self.name + (":" + ",".join(f"{k}={v}" for k, v in self.options) if self.options else "")


@dataclass(frozen=True)
class Option:
    """A keyword option of a registered thing: its type and default, read from the signature.

    `neutral` is the value that does what was done before the option was there; None where it always was.
    `choices` are all values of one that is annotated as a Literal.
    """

    name: str
    type: type
    default: Value
    neutral: Value | None = None
    choices: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[Value, ...]:
        """All values, where they can be listed."""
        return (False, True) if self.type is bool else self.choices

    def convert(self, text: str, owner: str) -> Value:
        """Turn the text of a spec into this option's type, or say what was expected."""
        pattern, wanted = TEXTS[self.type]
        if self.choices:
            pattern, wanted = "|".join(self.choices), f"one of {', '.join(self.choices)}"
        try:
            if re.fullmatch(pattern, text):
                value = self._read(text)
                floats = value if isinstance(value, tuple) else (value,)
                if all(math.isfinite(number) for number in floats if isinstance(number, float)):
                    return value
        except ValueError:  # more digits than Python reads
            pass
        default = show(self.default) or "none"
        raise UserError(f"{owner}: option '{self.name}' got '{text}', expected {wanted} (default {default}).")

    def _read(self, text: str) -> Value:
        if self.type is NumberList:
            return tuple(float(number) for number in text.split("/"))
        if self.type is bool:
            return text == "true"
        kind: Any = str if issubclass(self.type, str) else self.type
        value: Value = kind(text)
        return value


def slug(name: str, options: Mapping[str, str]) -> str:
    """Return `name-key1value1-key2value2` in the characters that MLflow allows in a metric's name.

    >>> slug("rope2d", {"theta": "10000"})
    'rope2d-theta10000'
    >>> slug("custom", {"times": "0/0.5/1"}), slug("custom", {"times": "/".join(["0.125"] * 9)})
    ('custom-times0_0.5_1', 'custom-times9xd6867d012b18')
    """
    words = (f"{key}{_short(value)}" for key, value in options.items())
    return re.sub(r"[^A-Za-z0-9._-]", "_", "-".join([name, *words]))


def _short(value: str) -> str:
    """A list of many numbers by their number and the first digits of its SHA-256: names have their limits."""
    if "/" not in value or len(value) <= 32:
        return value
    return f"{value.count('/') + 1}x{hashlib.sha256(value.encode()).hexdigest()[:12]}"


def show(value: Value) -> str:
    """Write a value the one way specs write it.

    >>> [show(100.0), show(1e22), show(True), show("shifted"), show((0.0, 0.1, 1.0))]
    ['100', '1e22', 'true', 'shifted', '0/0.1/1']
    """
    if isinstance(value, tuple):
        return "/".join(map(show, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value).replace("e+", "e")
