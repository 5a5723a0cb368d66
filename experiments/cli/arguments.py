"""What a command takes, read from its dataclasses, and the first argument that does not fit, in one line.

tyro's own complaints are boxes as wide as the terminal, and it takes `1_0`, full-width digits and an option
given twice. So this looks first: tyro is handed what fits, makes the objects and writes the help.
"""

import contextlib
import difflib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from math import inf
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from experiments.cli.paths import given
from rope_dit.config import option
from rope_dit.errors import UserError, nearest
from rope_dit.registry import REGISTRIES

C = TypeVar("C")
LONGEST = 1000  # characters of one argument
CLOSE = 0.6  # likeness from which on an option may have been meant
_TEXTS: dict[Any, tuple[str, str]] = {
    int: (r"-?[0-9]{1,18}", "a whole number (18 digits at most)"),  # which 64 bits hold
    float: (r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?", "a number"),
    Path: (r".+", "a path"),
}
_TYPES = ConstructorRegistry()
_SWITCH = re.compile(r"true|false|yes|no|on|off|0|1", re.IGNORECASE)


@dataclass(frozen=True)
class Argument:
    """One field of a command's dataclasses.

    Args:
        names: options that set it, such as `--train.lr`; none where it is positional.
        field: name of the field.
        type: of one value; bool for a switch.
        most: how many values fit.
        least: how many it takes at least.
        optional: whether the text `None` fits too.
        required: whether it must be given.
    """

    names: tuple[str, ...]
    field: str
    type: Any
    least: int
    most: float
    optional: bool
    required: bool

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return self.names[0] if self.names else self.field.upper()

    @property
    def choices(self) -> list[str]:
        """All texts that fit, where they can be listed."""
        return [str(choice) for choice in get_args(self.type)] if get_origin(self.type) is Literal else []

    @property
    def expected(self) -> str:
        """What one value looks like, for people."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        return _TEXTS.get(self.type, ("", "a text"))[1]

    def check(self, name: str, values: Sequence[str]) -> None:
        """Raise UserError unless these are values that `name` takes."""
        if self.type is bool and values:
            raise UserError(f"{name} takes no value, got '{values[0]}'; write {' or '.join(self.names)}.")
        if len(values) < self.least:
            got = f"{len(values) or 'no'} value{'s' if len(values) > 1 else ''}"
            wanted = f"{self.least} times {self.expected}" if self.least > 1 else self.expected
            raise UserError(f"{name} got {got}, expected {wanted}.")
        for text in values:
            pattern = "|".join(map(re.escape, self.choices)) or _TEXTS.get(self.type, (r".+", ""))[0]
            if not re.fullmatch(pattern, text) and not (self.optional and text == "None"):
                raise UserError(
                    f"{name} got '{text}', expected {self.expected}.{nearest(text, self.choices)}"
                )
            if self.type is Path:
                given(text)


def arguments(config_type: Any, prefix: str = "") -> Iterator[Argument]:
    """Yield what sets the fields of a dataclass and of the dataclasses in it."""
    hints = get_type_hints(config_type, include_extras=True)
    for field in fields(config_type):
        hint: Any = hints[field.name]
        notes: list[Any] = []
        if get_origin(hint) is Annotated:
            hint, *notes = get_args(hint)
        if is_dataclass(hint):
            bare = any(getattr(note, "name", None) == "" for note in notes)
            yield from arguments(hint, prefix if bare else f"{prefix}{option(field.name)}.")
            continue
        names = [] if tyro.conf.Positional in notes else [f"--{prefix}{option(field.name)}"]
        for note in notes:
            if getattr(note, "name", None):  # these are the attributes of what tyro.conf.arg returns
                names = [f"--{'' if note.prefix_name is False else prefix}{note.name}"]
            names += getattr(note, "aliases", None) or ()
        if hint is bool:
            names.append(f"--{prefix}no-{option(field.name)}")
        required = field.default is MISSING and field.default_factory is MISSING
        yield Argument(tuple(names), field.name, *_values(hint), required)


def _values(hint: Any) -> tuple[Any, int, float, bool]:
    """Return the type of one value, how many it takes at least and at most, and whether None is one."""
    optional = NoneType in get_args(hint)
    if optional:
        hint = next(kind for kind in get_args(hint) if kind is not NoneType)
    least, most = (0, 0.0) if hint is bool else (1, 1.0)
    if get_origin(hint) is tuple:
        hint, *others = get_args(hint)
        least, most = (1, inf) if others == [...] else (1 + len(others), 1.0 + len(others))
    return hint, least, most, optional


def check_arguments(config_type: Any, args: Sequence[str], complete: bool) -> None:
    """Raise UserError for the first argument that does not fit.

    Args:
        config_type: dataclass that the command line fills.
        args: the command line.
        complete: whether required fields must be there, because nothing else gives them.
    """
    known = list(arguments(config_type))
    by_name = {name: argument for argument in known for name in argument.names}
    positional = [argument for argument in known if not argument.names]
    given: set[str] = set()
    todo = [_plain(arg) for arg in args]
    while todo:
        word = todo.pop(0)
        name, equals, value = word.partition("=")
        if not _is_option(word):
            if not positional:
                raise UserError(
                    f"got '{word}', expected an option such as {next(iter(by_name))}; see --help."
                )
            argument, name, values = positional.pop(0), "", [word]
            while todo and _takes(argument, len(values), todo[0]):
                values.append(todo.pop(0))
        else:
            if name.replace("_", "-") not in by_name:
                raise unknown_option(name, list(by_name))
            argument = by_name[name.replace("_", "-")]
            values = [value] if equals else []
            while todo and _takes(argument, len(values), todo[0]):
                values.append(todo.pop(0))
        argument.check(name or argument.title, values)
        if argument.title in given:
            raise UserError(f"{argument.title} is given twice; give it once.")
        given.add(argument.title)
    for argument in known:
        if complete and argument.required and argument.title not in given:
            raise UserError(f"{argument.title} is missing; expected {argument.expected}. See --help.")


def unknown_option(name: str, names: Sequence[str]) -> UserError:
    """The error for an option that there is not."""
    return UserError(f"unknown option '{name}'.{_suggest(name, names)} --help shows all.")


def words_for(name: str, value: object) -> list[str]:
    """The words that set a field on the command line; for a switch, one without a value; `none` for no text.

    >>> words_for("train.warmup_steps", 5), words_for("model.qk_norm", False), words_for("arm", "-x")
    (['--train.warmup-steps', '5'], ['--model.no-qk-norm'], ['--arm=-x'])
    """
    head, dot, tail = option(name).rpartition(".")
    if isinstance(value, bool):
        return [f"--{head}{dot}{'' if value else 'no-'}{tail}"]
    first, *more = [str(one) for one in value or ("none",)] if isinstance(value, tuple) else [str(value)]
    flag = f"--{head}{dot}{tail}"
    return [f"{flag}={first}"] if _is_option(first) else [flag, first, *more]


def _plain(arg: str) -> str:
    """Return an argument that can be printed, and stored in a file's name."""
    if len(arg) > LONGEST:
        raise UserError(f"got '{arg[:40]}...' of {len(arg)} characters, expected at most {LONGEST}.")
    if not arg.isprintable():
        raise UserError(f"got {arg!a}, expected text without control characters.")
    return arg


def _is_option(word: str) -> bool:
    return word.startswith("-") and not re.match(r"-(\d|\.|inf|nan|$)", word, re.IGNORECASE)


def _takes(argument: Argument, already: int, word: str) -> bool:
    if argument.type is bool:
        return already == 0 and _SWITCH.fullmatch(word) is not None  # only to say that it takes none
    return already < argument.most and not _is_option(word)


def _suggest(name: str, names: Sequence[str]) -> str:
    """Return ` Did you mean '--train.lr'?` for `--lr`, `--train.lrr` and the like, or an empty string.

    An item's name and option, as in `--ray-address`, are what its spec says.
    """
    word, known = name.lstrip("-").replace("_", "-"), [n.lstrip("-") for n in names]
    for registry in (each for each in REGISTRIES.values() if each.kind in known):
        for entry in registry:
            for key in entry.options:
                if word == f"{entry.name}-{option(key)}":
                    return f" Did you mean '--{registry.kind} {entry.name}:{key}=...'?"
    tails = {n.rpartition(".")[2]: n for n in reversed(known)}
    close = [tails[word]] if word in tails else difflib.get_close_matches(word, known, 1, CLOSE)
    close += [tails[t] for t in difflib.get_close_matches(word.rpartition(".")[2], tails, 1, CLOSE)]
    return f" Did you mean '--{close[0]}'?" if close else ""


def take(args: list[str], name: str) -> str | None:
    """Look for `--name VALUE` or `--name=VALUE` without removing it."""
    for i, arg in enumerate(args):
        if arg.startswith(f"--{name}="):
            return arg.partition("=")[2]
        if arg == f"--{name}":
            if i + 1 == len(args):
                raise UserError(f"--{name} needs a value.")
            return args[i + 1]
    return None


def parse(config_type: type[C], default: C | None, args: Sequence[str], prog: str, description: str) -> C:
    """Read the command line over `default`.

    Raises:
        UserError: an argument does not fit, or the dataclass itself raised one.
        SystemExit: after --help was printed.
    """
    asked = [arg for arg in args if arg in ("-h", "--help")][:1]
    if not asked:
        check_arguments(config_type, args, complete=default is None)
    over: dict[str, Any] = {} if default is None else {"default": default}
    stderr = io.StringIO()
    try:
        with contextlib.redirect_stderr(stderr):
            read: C = tyro.cli(
                config_type,
                args=asked or list(args),
                prog=prog,
                description=description,
                registry=_TYPES,
                **over,
            )
            return read
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise _reason(stop, stderr.getvalue()) from None


@_TYPES.primitive_rule
def _path(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Path] | None:
    """Read paths as `given`; a default stays as it is."""
    if info.type is not Path:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="PATH",
        instance_from_str=lambda words: given(words[0]),
        is_instance=lambda value: isinstance(value, Path),
        str_from_instance=lambda path: [str(path)],
    )


def _reason(stop: SystemExit, printed: str) -> UserError:
    """The UserError for which tyro gave up, or what it printed in its box."""
    error: BaseException | None = stop
    while error is not None:
        if isinstance(error, UserError):
            return error
        error = error.__context__
    words = re.sub(r"\x1b\[[0-9;]*m|[│╭╰─╮╯]", " ", printed)
    return UserError(f"{' '.join(words.split())[:170] or 'the command line could not be read'} See --help.")
