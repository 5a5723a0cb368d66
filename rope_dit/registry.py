"""Registries: a new variant, solver, grid, metric or data set is one new file in its folder.

A registry reads names, first lines, options, defaults and claims from the files' syntax trees, so that
`--help` and `--list` import nothing; a file is imported when its thing is built. Specs are text:

    spec := part ('+' part)*        part := name [':' key=value (',' key=value)*]

>>> str(Part.parse("heun:steps=25,grid=shifted"))
'heun:grid=shifted,steps=25'
"""

import importlib
import importlib.util
import itertools
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any, Generic, TypeVar

from rope_dit.errors import UserError, nearest
from rope_dit.syntax import Keyword, Registered, registered

Value = bool | int | float | str
T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_TYPES: dict[str, type] = {"bool": bool, "int": int, "float": float, "str": str}
_TEXTS: dict[type, tuple[str, str]] = {
    bool: (r"true|false", "true or false"),
    int: (r"-?[0-9]+", "a whole number"),
    float: (r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE]-?[0-9]+)?", "a finite number"),
    str: (r"[A-Za-z0-9_]+", "letters, digits and '_'"),  # no '-' and no '.', so that slugs stay unique
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
        if not _NAME.fullmatch(name):
            raise UserError(f"spec '{text}': got the name '{name}', expected letters, digits and '_'.")
        pairs = [item.partition("=") for item in rest.split(",")] if colon else []
        for key, equals, value in pairs:
            if not (_NAME.fullmatch(key.strip()) and equals and value.strip()):
                raise UserError(f"spec '{text}': got '{key}{equals}{value}', expected key=value.")
        keys = [key.strip() for key, _, _ in pairs]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise UserError(f"spec '{text}': '{min(twice)}' is given twice; give it once.")
        return cls(name, tuple(sorted((key.strip(), value.strip()) for key, _, value in pairs)))

    def __str__(self) -> str:
        return self.name + (":" + ",".join(f"{k}={v}" for k, v in self.options) if self.options else "")


@dataclass(frozen=True)
class Option:
    """A keyword option of a registered thing: its type and default, read from the signature."""

    name: str
    type: type
    default: Value

    def convert(self, text: str, owner: str) -> Value:
        """Turn the text of a spec into this option's type, or say what was expected."""
        pattern, wanted = _TEXTS[self.type]
        try:
            if re.fullmatch(pattern, text):
                value: Value = text == "true" if self.type is bool else self.type(text)
                if not isinstance(value, float) or math.isfinite(value):
                    return value
        except ValueError:  # more digits than Python reads
            pass
        raise UserError(
            f"{owner}: option '{self.name}' got '{text}', expected {wanted} (default {show(self.default)})."
        )


@dataclass(frozen=True)
class Entry:
    """What is known of a registered thing without importing its file."""

    name: str
    path: Path
    summary: str
    options: Mapping[str, Option] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=dict)

    def resolve(self, part: Part, extra: Mapping[str, Option] | None = None) -> dict[str, Value]:
        """Return every option of `part` with defaults filled in; `extra` are options of the caller's own."""
        known = {**self.options, **(extra or {})}
        for key, _ in part.options:
            if key not in known:
                has = ", ".join(sorted(known)) or "none"
                raise UserError(
                    f"{self.name}: unknown option '{key}'; its options are: {has}.{nearest(key, list(known))}"
                )
        given = {key: known[key].convert(text, self.name) for key, text in part.options}
        return {key: given.get(key, option.default) for key, option in sorted(known.items())}


PLUGINS: list[Path] = []
REGISTRIES: dict[str, "Registry[Any]"] = {}


class Registry(Generic[T]):
    """Named things of one kind, one file each, in a package folder and in the folders of plugins.

    Args:
        kind: what they are called in messages and after `--list`, for example 'variant'.
        variable: the name by which files register, as in `@POS_EMBEDS.register("rope2d")`.
        package: the package whose folder is scanned.
    """

    def __init__(self, kind: str, variable: str, package: str):
        self.kind, self.variable, self.package = kind, variable, package
        self._made: dict[str, Any] = {}
        self._entries: dict[str, Entry] | None = None
        REGISTRIES[f"{kind}s"] = self

    def register(self, name: str) -> Callable[[T], T]:
        """Decorate the class or function that `name` stands for."""

        def keep(thing: T) -> T:
            self._made[name] = thing
            return thing

        return keep

    def entries(self) -> dict[str, Entry]:
        """All entries by name, sorted, from the package's folder and then the plugins'."""
        if self._entries is None:
            found: dict[str, Entry] = {}
            for folder in [_package_folder(self.package), *PLUGINS]:
                for path in sorted(folder.glob("*.py")):
                    for entry in (_entry(each, path) for each in registered(path, self.variable)):
                        if entry.name in found:
                            other = found[entry.name].path.name
                            raise UserError(f"{self.kind} '{entry.name}' is registered twice, in {other} and "
                                            f"{path}. Rename one.")  # fmt: skip
                        found[entry.name] = entry
            self._entries = dict(sorted(found.items()))
        return self._entries

    def names(self) -> list[str]:
        """All registered names."""
        return list(self.entries())

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries().values())

    def __getitem__(self, name: str) -> Entry:
        if name not in self.entries():
            raise UserError(f"unknown {self.kind} '{name}'.{nearest(name, self.names())} "
                            f"`--list {self.kind}s` shows all.")  # fmt: skip
        return self.entries()[name]

    def load(self, name: str) -> T:
        """Import the file of `name` and return the class or function it registered."""
        entry = self[name]
        if name not in self._made:
            if entry.path.parent == _package_folder(self.package):
                importlib.import_module(f"{self.package}.{entry.path.stem}")
            else:
                _import_plugin(entry.path)
        made: T = self._made[name]
        return made

    def canonical(self, spec: str) -> str:
        """Return `spec` with defaults filled in and keys sorted, so that equal things have equal text.

        Raises:
            UserError: a name or option is unknown, a value does not fit, or a name comes twice.
        """
        parts = [self._canonical_part(Part.parse(text)) for text in spec.split("+")]
        names = [part.partition(":")[0] for part in parts]
        if twice := {name for name in names if names.count(name) > 1}:
            raise UserError(f"{self.kind} '{min(twice)}' is given twice in '{spec}'; give it once.")
        return "+".join(sorted(parts))

    def _canonical_part(self, part: Part) -> str:
        values = self[part.name].resolve(part)
        return str(Part(part.name, tuple((key, show(value)) for key, value in values.items())))

    def slug(self, spec: str) -> str:
        """Return a short unique name for folders and metrics: options at their default are left out."""
        parts = []
        for text in self.canonical(spec).split("+"):
            part = Part.parse(text)
            defaults = self[part.name].options
            parts.append(slug(part.name, {k: v for k, v in part.options if v != show(defaults[k].default)}))
        return ".".join(parts)


def slug(name: str, options: Mapping[str, str]) -> str:
    """Return `name-key1value1-key2value2` in the characters that MLflow allows in a metric's name.

    >>> slug("rope2d", {"theta": "10000"})
    'rope2d-theta10000'
    """
    return re.sub(r"[^A-Za-z0-9._-]", "_", "-".join([name, *(f"{k}{v}" for k, v in options.items())]))


def show(value: Value) -> str:
    """Write a value the one way specs write it.

    >>> [show(100.0), show(1e22), show(True), show("shifted")]
    ['100', '1e22', 'true', 'shifted']
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value).replace("e+", "e")


def add_plugins(folder: Path) -> None:
    """Scan `folder` too, in every registry. Raises UserError where it is no folder."""
    if not folder.is_dir():
        raise UserError(
            f"--plugins {folder}: no such folder; expected a folder of .py files that register things."
        )
    if folder.resolve() not in PLUGINS:
        PLUGINS.append(folder.resolve())
        for registry in REGISTRIES.values():
            registry._entries = None


def _package_folder(package: str) -> Path:
    """Find a package's folder without importing it (importing rope_dit itself imports nothing)."""
    root, _, rest = package.partition(".")
    return Path(importlib.import_module(root).__file__ or "").parent.joinpath(*rest.split("."))


def _import_plugin(path: Path) -> None:
    name = f"rope_dit_plugin_{path.stem}"
    loader = SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None, path
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    loader.exec_module(module)


def _entry(found: Registered, path: Path) -> Entry:
    """Give what a file registers its types."""
    if not _NAME.fullmatch(found.name):
        raise UserError(f"{path.name}: got the name '{found.name}', expected letters, digits and '_'.")
    where = f"{path.name}:{found.options_line}"
    options = {option.name: _option(option, where) for option in found.options}
    for short, long in itertools.permutations(options.values(), 2):
        rest = long.name.removeprefix(short.name)
        if rest != long.name and (short.type is str or rest.isdigit()):  # their slugs could be equal
            raise UserError(f"{where}: option '{long.name}' begins as '{short.name}' does; rename one.")
    return Entry(found.name, path, found.summary, options, found.claims)


def _option(found: Keyword, where: str) -> Option:
    kind = _TYPES.get(found.annotation)
    if kind is None or type(found.value) not in ((int, float) if kind is float else (kind,)):
        raise UserError(f"{where}: got the option '{found.text}', expected a type of {', '.join(_TYPES)} "
                        "and a plain value of it as default.")  # fmt: skip
    option = Option(found.name, kind, kind(found.value))
    option.convert(show(option.default), where)  # a default must be something that a spec can say
    return option


POS_EMBEDS: Registry[Any] = Registry("variant", "POS_EMBEDS", "rope_dit.pos_embed")
SOLVERS: Registry[Any] = Registry("sampler", "SOLVERS", "rope_dit.samplers")
GRIDS: Registry[Any] = Registry("grid", "GRIDS", "rope_dit.grids")
