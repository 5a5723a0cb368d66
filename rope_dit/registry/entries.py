"""What is known of a registered thing without importing its file: its entry, made of what the file says."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from rope_dit.errors import UserError, nearest
from rope_dit.registry.docstrings import Docstring
from rope_dit.registry.specs import NAME, TEXTS, TYPES, FreeText, NumberList, Option, Part, Value, show
from rope_dit.registry.syntax import Keyword, Registered, literal_choices, tree_sha256


@dataclass(frozen=True)
class Entry:
    """What is known of a registered thing without importing its file."""

    name: str
    path: Path
    docstring: str
    options: Mapping[str, Option] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1
    is_plugin: bool = False

    @property
    def says(self) -> Docstring:
        """The parts of its docstring."""
        return Docstring(self.docstring)

    @property
    def summary(self) -> str:
        """First line of its docstring."""
        return self.says.summary

    @property
    def source(self) -> str:
        """Where it is from: what its docstring says after `Source:`."""
        return self.says.source

    def specs(self) -> Iterator[str]:
        """Yield the name alone, then with each value of each option whose values can be listed."""
        yield self.name
        for option in self.options.values():
            yield from (f"{self.name}:{option.name}={show(value)}" for value in option.values)

    @cached_property
    def tree_sha256(self) -> str:
        """SHA-256 of what the file says, without comments, docstrings and layout."""
        return tree_sha256(self.path)

    def resolve(
        self, part: Part, extra: Mapping[str, Option] | None = None, *, stored: bool = False
    ) -> dict[str, Value]:
        """Return every option of `part`, with those that are missing filled in.

        Args:
            part: what was typed, or read back from a record.
            extra: options of the caller's own.
            stored: it was read back: an option with a neutral value may not have been there at the time, and
                is that value then. All others are at their default, as in what is typed.
        """
        known = {**self.options, **(extra or {})}
        for key, _ in part.options:
            if key not in known:
                has = ", ".join(sorted(known)) or "none"
                raise UserError(
                    f"{self.name}: unknown option '{key}'; its options are: {has}.{nearest(key, list(known))}"
                )
        given = {key: known[key].convert(text, self.name) for key, text in part.options}
        neutral = {key: option.neutral for key, option in known.items() if option.neutral is not None}
        missing = {key: option.default for key, option in known.items()} | (neutral if stored else {})
        return {key: given.get(key, missing[key]) for key in sorted(known)}


def entry_of(found: Registered, path: Path, is_plugin: bool) -> Entry:
    """Give what a file registers its types."""
    if not NAME.fullmatch(found.name):
        raise UserError(f"{path.name}: got the name '{found.name}', expected letters, digits and '_'.")
    where = f"{path.name}:{found.options_line}"
    options = {option.name: _option(option, where) for option in found.options}
    for short, long in itertools.permutations(options.values(), 2):
        rest = long.name.removeprefix(short.name)
        if rest != long.name and (short.type is str or rest.isdigit()):  # their slugs could be equal
            raise UserError(f"{where}: option '{long.name}' begins as '{short.name}' does; rename one.")
    version, where = 1, f"{path.name}:{found.line}"
    for keyword in found.keywords:
        match keyword.name, keyword.value:
            case "version", int(number) if number >= 1 and number is not True:
                version = number
            case "neutral", dict(values):
                options |= {key: _neutral(options, key, value, where) for key, value in values.items()}
            case _:
                raise UserError(f"{where}: got '{keyword.text}', expected version=N, a whole number of at "
                                "least 1, or neutral={'option': value}.")  # fmt: skip
    return Entry(found.name, path, found.docstring, options, found.claims, version, is_plugin)


def _option(found: Keyword, where: str) -> Option:
    choices = literal_choices(found.annotation)
    kind = str if choices else TYPES.get(found.annotation)
    if kind is None or not _fits(found.value, kind):
        raise UserError(f"{where}: got the option '{found.text}', expected a type of {', '.join(TYPES)} "
                        "or Literal['a', 'b'], and a plain value of it as default.")  # fmt: skip
    default = _as(found.value, kind)
    option = Option(found.name, kind, default, choices=choices)
    option.convert(show(option.default), where)  # a default must be something that a spec can say
    return option


def _neutral(options: Mapping[str, Option], key: object, value: Any, where: str) -> Option:
    """Return the option `key` with its neutral value."""
    option = options.get(str(key))
    if option is None:
        has = ", ".join(options) or "none"
        raise UserError(f"{where}: neutral names '{key}', expected one of its options: {has}.")
    if not _fits(value, option.type):
        raise UserError(f"{where}: neutral value of '{key}' got {value!r}, expected {TEXTS[option.type][1]}.")
    neutral = _as(value, option.type)
    option.convert(show(neutral), where)
    return replace(option, neutral=neutral)


def _as(value: Any, kind: type) -> Value:
    made: Value = float(value) if kind is float else value
    return tuple(map(float, value)) if kind is NumberList else made


def _fits(value: object, kind: type) -> bool:
    if kind is NumberList:
        return isinstance(value, tuple) and bool(value) and all(_fits(number, float) for number in value)
    return type(value) in {float: (int, float), FreeText: (str,)}.get(kind, (kind,))
