"""Items in Markdown: their docstrings, options and claims."""

import ast
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from experiments.cli.listing import claims_of
from rope_dit.registry import REGISTRIES, Entry, Option, show
from rope_dit.registry.specs import FreeText, NumberList

MADE = "<!-- Made by `python -m experiments.document` of the files that it names: change those. -->"
ROOT = Path(__file__).parents[2]


def plain(text: str) -> str:
    r"""Text of a docstring, in which Markdown reads nothing but code between backticks and indented formulas.

    >>> print(plain("x*w + a_b at `a*b`, <v>"))
    x\*w + a_b at `a*b`, \<v>
    """
    return "\n".join(line if line.startswith("    ") else _escaped(line) for line in text.splitlines())


def cell(text: str) -> str:
    r"""As `plain`, for a table.

    >>> print(cell("|v|"))
    \|v\|
    """
    return plain(text).replace("|", r"\|")


def _escaped(line: str) -> str:
    parts = line.split("`")
    special = r"([*<]|(?<!\w)_|_(?!\w))"
    return "`".join(part if i % 2 else re.sub(special, r"\\\1", part) for i, part in enumerate(parts))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def linked(kind: str, entry: Entry) -> str:
    """An item's name, which leads to its section."""
    return f"[`{entry.name}`](#{kind}-{entry.name})"


def claims(kind: str, entry: Entry) -> str:
    """What an item claims."""
    return cell(", ".join(claims_of(kind, entry))) or "-"


def options(entry: Entry) -> str:
    """Its options with types and defaults, in one line."""
    return ", ".join(f"`{_option(option)}`" for option in entry.options.values()) or "none"


def _option(option: Option) -> str:
    called: dict[type, str] = {FreeText: "text", NumberList: "numbers"}
    kind = " or ".join(option.choices) or called.get(option.type, option.type.__name__)
    return f"{option.name}={show(option.default)}: {kind}"


def shipped(kind: str) -> list[Entry]:
    """Items of a kind, without plug-ins."""
    return [entry for entry in REGISTRIES[kind] if not entry.is_plugin]


def section(kind: str, entry: Entry, *, picture: str = "", facts: Iterable[tuple[str, str]] = ()) -> str:
    """All of one item: summary, picture, description, source, options, claims and more facts."""
    file = entry.path.relative_to(ROOT).as_posix()
    told = [("Source", plain(entry.source))] if entry.source else []
    told += [("Options", options(entry))]
    told += [("Claims", claims(kind, entry))] if REGISTRIES[kind].shown else []
    told += [*facts, ("File", f"[`{file}`](../{file})")]
    lines = "\n".join(f"- {name}: {text}" for name, text in told)
    heading = f'<a id="{kind}-{entry.name}"></a>\n\n### {entry.name}'
    blocks = [heading, plain(entry.summary), picture, plain(entry.says.description), lines]
    return "\n\n".join(block for block in blocks if block)


def about(kind: str) -> str:
    """First sentence of the docstring of the package where items of a kind live."""
    folder = ROOT.joinpath(*REGISTRIES[kind].package.split("."))
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    return plain(said.partition("\n")[0])
