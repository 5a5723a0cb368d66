"""Notebooks are clean, have no logic of their own, and run on the store of a real study."""

import ast
from pathlib import Path

import nbformat
import pytest
from report_stores import NAME, real_folder, uri_of

import analysis
from analysis.figures.base import FIGURES

FOLDER = Path(analysis.__file__).parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LOGIC = (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.While, ast.If, ast.comprehension, ast.Try)


def read(path):
    return nbformat.read(path, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def parameters(notebook):
    (cell,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    return cell


def draws(cell) -> bool:
    """Whether a cell ends with a figure of the report."""
    match ast.parse(cell.source.removeprefix("%matplotlib inline\n")).body[-1]:
        case ast.Expr(ast.Call(ast.Attribute(ast.Name(name)))):
            return name in FIGURES.names()
    return False


def test_all_three_are_here():
    assert [path.stem for path in NOTEBOOKS] == ["fid_vs_steps", "samplers", "variants"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_clean(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert not any(cell.outputs or cell.execution_count for cell in code(notebook))
    assert path.read_text().isascii()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_calls_and_is_explained(path):
    notebook = read(path)
    assert parameters(notebook).source.startswith('STUDY = "digits"\n')
    for before, cell in zip(notebook.cells, notebook.cells[1:], strict=False):
        assert {before.cell_type, cell.cell_type} == {"markdown", "code"}, cell.source
    for cell in code(notebook):
        source = cell.source.removeprefix("%matplotlib inline\n")
        assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, LOGIC)], source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_draws_figures_of_the_report(path):
    assert any(draws(cell) for cell in code(read(path)))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_it_imports_is_there(path):
    [first, *_] = code(read(path))
    exec(first.source.removeprefix("%matplotlib inline\n"), {})


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_on_a_real_study(path, tmp_path_factory, tmp_path):
    nbclient = pytest.importorskip("nbclient", reason="needs the extra: pip install rope-dit[notebooks]")
    pytest.importorskip("ipykernel", reason="needs the extra: pip install rope-dit[notebooks]")
    notebook = read(path)
    parameters(notebook).source = f'STUDY = "{NAME}"\nURI = "{uri_of(real_folder(tmp_path_factory))}"'
    nbclient.NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    for cell in code(notebook):
        said = [output.text for output in cell.outputs if output.output_type == "stream"]
        assert not [text for text in said if "IProgress not found" not in text], cell.source  # no ipywidgets
        last = cell.source.splitlines()[-1]
        kinds = {kind for output in cell.outputs for kind in output.get("data", {})}
        if draws(cell):
            assert "image/png" in kinds, cell.source
        elif "tables." in last or "cells" in last:
            assert "text/html" in kinds, cell.source
        assert sum("image/png" in output.get("data", {}) for output in cell.outputs) <= 1, cell.source
