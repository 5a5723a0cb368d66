"""What files register, read from their syntax trees: nothing is imported and nothing of a file is run.

What the names, types and values mean is the registry's business; here they are text and plain values.
"""

import ast
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rope_dit.errors import UserError
from rope_dit.files import read_file

Definition = ast.ClassDef | ast.FunctionDef


@dataclass(frozen=True)
class Keyword:
    """A keyword with a value: its source text, and the value where that is a plain one, else None."""

    name: str
    text: str
    value: Any
    annotation: str = ""


@dataclass(frozen=True)
class Registered:
    """One `@VARIABLE.register("name", key=value)` and what stands under it.

    Args:
        name: what it is registered as.
        line: where.
        keywords: what else is said there.
        docstring: its own, without indentation.
        options: keyword-only arguments of the function, or of the class's own `__init__`.
        options_line: where they stand.
        claims: class attributes whose value is a plain one, such as `relative = True` or `order = 2`.
    """

    name: str
    line: int
    keywords: tuple[Keyword, ...]
    docstring: str
    options: tuple[Keyword, ...]
    options_line: int
    claims: Mapping[str, Any]


def registered(path: Path, variable: str) -> Iterator[Registered]:
    """Yield what a file registers with `variable`. Raises UserError where it is not valid Python."""
    for node in _parse(path).body:
        if isinstance(node, Definition) and (call := _register_call(node, variable)):
            name = ast.literal_eval(call.args[0])
            keywords = tuple(Keyword(k.arg or "**", ast.unparse(k), _plain(k.value)) for k in call.keywords)
            docstring = ast.get_docstring(node) or ""
            yield Registered(name, call.lineno, keywords, docstring, *_options(node), _claims(node))


def tree_sha256(path: Path) -> str:
    """SHA-256 (hex) of what a file says: comments, docstrings and layout do not count.

    Raises UserError where it is not valid Python.
    """
    return hashlib.sha256(_dump(_parse(path)).encode()).hexdigest()


def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(read_file(path))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; expected a file of Python.") from None
    except (SyntaxError, ValueError) as error:  # ValueError: a null byte
        raise UserError(f"{path}: not valid Python: {error}. Mend or remove the file.") from None


def _dump(node: object) -> str:
    """Write a syntax tree as text that is the same under every version of Python.

    `ast.dump` is not: newer versions have more fields, and leave out others. So fields that hold nothing are
    left out here, and strings are escaped the one way that knows no table of printable characters.
    """
    if isinstance(node, list):
        return f"[{', '.join(_dump(item) for item in node)}]"
    if not isinstance(node, ast.AST):
        return ascii(node)
    held = []
    for name, value in ast.iter_fields(node):
        if isinstance(value, list):
            value = [item for item in value if _counts(item, node)]
        if name != "kind" and value is not None and value != []:  # kind: the u of u"text", which says nothing
            held.append(f"{name}={_dump(value)}")
    return f"{type(node).__name__}({', '.join(held)})"


def _counts(node: object, parent: ast.AST) -> bool:
    match parent, node:
        case _, ast.Expr(value=ast.Constant(value=str())):  # documents a module, a class or an attribute
            return False
        case ast.JoinedStr(), ast.Constant(value=""):  # Python 3.12 puts some in; others do not
            return False
    return True


def _register_call(node: Definition, variable: str) -> ast.Call | None:
    for call in node.decorator_list:
        match call:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr="register"),
                          args=[ast.Constant(value=str())]) if owner == variable:  # fmt: skip
                return call
    return None


def _options(node: Definition) -> tuple[tuple[Keyword, ...], int]:
    if isinstance(node, ast.ClassDef):
        inits = [f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"]
        if not inits:
            return (), node.lineno
        node = inits[0]
    pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    return tuple(_option(arg, default) for arg, default in pairs), node.lineno


def _option(arg: ast.arg, default: ast.expr | None) -> Keyword:
    text = ast.unparse(arg) + (f" = {ast.unparse(default)}" if default else "")
    return Keyword(arg.arg, text, _plain(default), ast.unparse(arg.annotation) if arg.annotation else "")


def literal_choices(annotation: str) -> tuple[str, ...]:
    """Texts of an annotation such as `Literal["a", "b"]`; none of another.

    >>> literal_choices('Literal["a", "b"]'), literal_choices("str")
    (('a', 'b'), ())
    """
    match ast.parse(annotation or "None", mode="eval").body:
        case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
            items = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            found = tuple(_plain(item) for item in items)
            return found if all(isinstance(text, str) for text in found) else ()
    return ()


def _claims(node: Definition) -> dict[str, Any]:
    claims: dict[str, Any] = {}
    for item in node.body if isinstance(node, ast.ClassDef) else []:
        match item:
            case (
                ast.Assign(targets=[ast.Name(id=key)], value=value)
                | ast.AnnAssign(target=ast.Name(id=key), value=ast.expr() as value)
            ):
                try:
                    claims[key] = ast.literal_eval(value)
                except (ValueError, TypeError):
                    continue
    return claims


def _plain(value: ast.expr | None) -> Any:
    try:
        return ast.literal_eval(value) if value else None
    except (ValueError, TypeError):  # TypeError: a dictionary whose keys are lists
        return None
