"""The rooms of analysis: which may import which, and what analysis takes of experiments."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import analysis

ROOT = Path(analysis.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
ORDERED = [path for path in FILES if path.name != "report.py"]  # which puts all together
LATER = {  # what a room must not import, since it stands further down
    "stats": ("analysis.load", "analysis.study", "analysis.tables", "analysis.numbers", "analysis.figures",
              "analysis.page", "analysis.report", "experiments"),
    "figures": ("analysis.page", "analysis.report"),
    "page": ("analysis.report",),
    "": ("analysis.figures", "analysis.page"),
}  # fmt: skip


def imported(path: Path) -> Iterator[str]:
    """Names of all modules that a file imports; `from a import b` gives a and a.b."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


@pytest.mark.parametrize("path", ORDERED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_room_imports_what_stands_above_it(path):
    room = "".join(path.relative_to(ROOT).parts[:-1])
    assert not [module for module in imported(path) if within(module, LATER[room])]


def test_of_experiments_analysis_takes_the_command_line_and_records():
    taken = {m for path in FILES for m in imported(path) if m.startswith("experiments.")}
    assert not [m for m in taken if not within(m, ("experiments.cli", "experiments.records"))]


@pytest.mark.parametrize("room", ["stats", "figures", "page"])
def test_a_room_says_what_may_live_in_it(room):
    source = (ROOT / room / "__init__.py").read_text()
    doc = ast.get_docstring(ast.parse(source)) or ""
    assert "import" in doc
    assert 2 <= doc.count(".") + doc.count(";") <= 6
    if room != "stats":  # which gives the names that everybody uses
        assert len(ast.parse(source).body) == 1


def test_folders_stay_small():
    for folder in {path.parent for path in FILES} - {ROOT / "figures"}:
        entries = [entry for entry in folder.iterdir() if entry.name != "__pycache__"]
        assert len(entries) <= 16, folder
    for path in FILES:
        tree, lines = ast.parse(path.read_text()), len(path.read_text().splitlines())
        assert lines <= 350, path
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        assert all((node.end_lineno or 0) - node.lineno < 60 for node in functions), path
