"""A registry: things of one kind, one file each, found by scanning folders."""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from rope_dit.errors import UserError, nearest
from rope_dit.registry.entries import Entry, entry_of
from rope_dit.registry.specs import FreeText, Part, Value, show, slug
from rope_dit.registry.syntax import registered

T = TypeVar("T")
PLUGINS: list[Path] = []
REGISTRIES: dict[str, "Registry[Any]"] = {}


class Registry(Generic[T]):
    """Named things of one kind, one file each, in a package folder and in the folders of plugins.

    Args:
        kind: what they are called in messages and after `--list`, for example 'variant'.
        variable: the name by which files register, as in `@POS_EMBEDS.register("rope2d")`.
        package: the package whose folder is scanned.
        plural: of `kind`, where an 's' does not make it.
        joins: whether a spec may join several by '+'.
        base: of kinds whose specs are one item and others that claim `modifies`: the one where none is named.
        shown: claims that a list shows.
        brief: whether canonical specs leave out options whose default does what was done before they were
            there, so that adding one changes no text.
    """

    def __init__(
        self,
        kind: str,
        variable: str,
        package: str,
        plural: str = "",
        *,
        joins: bool = False,
        base: str = "",
        shown: tuple[str, ...] = (),
        brief: bool = False,
    ):
        self.kind, self.variable, self.package, self.plural = kind, variable, package, plural or f"{kind}s"
        self.joins, self.base, self.shown = joins or bool(base), base, shown
        self.brief = brief
        self._made: dict[str, Any] = {}
        self._entries: dict[str, Entry] | None = None
        REGISTRIES[self.plural] = self

    def register(
        self, name: str, *, version: int = 1, neutral: Mapping[str, Value] | None = None
    ) -> Callable[[T], T]:
        """Decorate the class or function that `name` stands for; the keywords are read from the file."""

        def keep(thing: T) -> T:
            self._made[name] = thing
            return thing

        return keep

    def entries(self) -> dict[str, Entry]:
        """All entries by name, sorted, from the package's folder and then the plugins'."""
        if self._entries is None:
            found: dict[str, Entry] = {}
            for entry in self._scan():
                if entry.name in found:
                    other = found[entry.name].path.name
                    raise UserError(f"{self.kind} '{entry.name}' is registered twice, in {other} and "
                                    f"{entry.path}. Rename one.")  # fmt: skip
                found[entry.name] = entry
            self._entries = dict(sorted(found.items()))
        return self._entries

    def _scan(self) -> Iterator[Entry]:
        for folder in [_package_folder(self.package), *PLUGINS]:
            for path in sorted(folder.glob("*.py")):
                for found in registered(path, self.variable):
                    yield entry_of(found, path, is_plugin=folder in PLUGINS)

    def names(self) -> list[str]:
        """All registered names."""
        return list(self.entries())

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries().values())

    def __getitem__(self, name: str) -> Entry:
        if name not in self.entries():
            raise UserError(f"unknown {self.kind} '{name}'.{nearest(name, self.names())} "
                            f"`--list {self.plural}` shows all.")  # fmt: skip
        return self.entries()[name]

    def load(self, name: str) -> T:
        """Import the file of `name` and return the class or function it registered."""
        entry = self[name]
        if name not in self._made:
            if entry.is_plugin:
                _import_plugin(entry.path)
            else:
                importlib.import_module(f"{self.package}.{entry.path.stem}")
        made: T = self._made[name]
        return made

    def bind(self, spec: str) -> Callable[..., Any]:
        """Return what `spec` names with all of its options given: a class to call, or a function."""
        part = Part.parse(spec)
        made: Any = self.load(part.name)
        return partial(made, **self[part.name].resolve(part))

    def canonical(self, spec: str, *, stored: bool = False) -> str:
        """Return `spec` with all options, keys and parts sorted, so that equal things have equal text.

        Options that are missing are at their default; in a spec that was read back from a record (`stored`)
        at their neutral value where they have one, because they may be younger than the record. Where both
        are one value and the registry is `brief`, it is left out.

        Raises:
            UserError: a name or option is unknown, a value does not fit, or a name comes twice.
        """
        if "+" in spec and not self.joins:
            raise UserError(f"{self.kind} got '{spec}', expected one; these are not joined by '+'.")
        parts = [self._canonical_part(Part.parse(text), stored) for text in spec.split("+")]
        names = [part.name for part in parts]
        if twice := {name for name in names if names.count(name) > 1}:
            raise UserError(f"{self.kind} '{min(twice)}' is given twice in '{spec}'; give it once.")
        plain = [name for name in names if not self[name].claims.get("modifies")]
        if self.base and len(plain) > 1:
            raise UserError(f"{self.kind} got '{spec}', expected one of {' and '.join(plain)}, beside "
                            "what modifies it.")  # fmt: skip
        if self.base and not plain:
            parts.append(self._canonical_part(Part(self.base), stored))
        # by name: sorted by text, a new option could change the order, and with it the names of weights
        return "+".join(str(part) for part in sorted(parts, key=lambda part: part.name))

    def _canonical_part(self, part: Part, stored: bool) -> Part:
        values, options = self[part.name].resolve(part, stored=stored), self[part.name].options
        old = {key: o.neutral for key, o in options.items() if self.brief and o.neutral == o.default}
        shown = ((key, show(value)) for key, value in values.items() if value not in ("", old.get(key)))
        return Part(part.name, tuple(shown))

    def identity(self, spec: str) -> dict[str, str]:
        """Return what a run's identity says of `spec`; code that only reads differently says the same.

        The canonical spec under the registry's kind, without options that do what was done before they were
        there; the version of each part that ships and is not in its first; what each part of a plug-in says,
        because no golden value holds it.

        >>> from rope_dit.registry import POS_EMBEDS
        >>> POS_EMBEDS.identity("rope2d:theta=5+learned")
        {'variant': 'learned:std=0.02+rope2d:theta=5'}
        """
        parts = [Part.parse(text) for text in self.canonical(spec).split("+")]
        known = {self.kind: "+".join(str(self._without(part, "neutral")) for part in parts)}
        for entry in (self[part.name] for part in parts):
            if entry.is_plugin:
                known[f"plug-in {self.kind} {entry.name}"] = entry.tree_sha256
            elif entry.version > 1:
                known[f"version of {self.kind} {entry.name}"] = str(entry.version)
        return known

    def slug(self, spec: str) -> str:
        """Return a short unique name for folders and metrics: options at their default are left out.

        It names things for people. Identities do not rest on it: it changes where a default does.

        Raises:
            UserError: an option may be any text, so that names could be equal.
        """
        parts = [self._without(Part.parse(text), "default") for text in self.canonical(spec).split("+")]
        for name, option in ((p.name, o) for p in parts for o in self[p.name].options.values()):
            if option.type is FreeText:
                raise UserError(f"{self.kind} '{name}': got the type Text for option '{option.name}', "
                                "expected str: runs and scores are named after it.")  # fmt: skip
        return ".".join(slug(part.name, dict(part.options)) for part in parts)

    def _without(self, part: Part, which: Literal["default", "neutral"]) -> Part:
        """Leave out the options of a canonical part that stand at their default or neutral value."""
        left_out = {key: getattr(option, which) for key, option in self[part.name].options.items()}
        kept = ((k, v) for k, v in part.options if left_out[k] is None or v != show(left_out[k]))
        return Part(part.name, tuple(kept))


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
