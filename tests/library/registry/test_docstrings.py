"""The parts of a docstring, for classes and functions, and where one of them is missing."""

import pytest

from rope_dit.registry import SCHEDULES, SOLVERS, add_plugins
from rope_dit.registry.docstrings import Docstring

FILE = '''
from rope_dit.registry import {variable}


@{variable}.register("mine")
{definition}
    """Does it.

    In words.

    Source: A. Author, arXiv:1234.56789,
    equation 3.

    >>> 1 + 1
    2
    """
'''


@pytest.mark.parametrize(
    ("registry", "definition"), [(SOLVERS, "class Mine:"), (SCHEDULES, "def mine(share):")]
)
def test_classes_and_functions_have_a_source(registry, definition, tmp_path):
    from commands import forget_plugins

    (tmp_path / "mine.py").write_text(FILE.format(variable=registry.variable, definition=definition))
    add_plugins(tmp_path)
    entry = registry["mine"]
    forget_plugins()
    assert (entry.summary, entry.source) == ("Does it.", "A. Author, arXiv:1234.56789, equation 3.")
    assert (entry.says.description, entry.says.doctests) == ("In words.", (">>> 1 + 1\n2",))


@pytest.mark.parametrize(
    ("text", "source", "description", "doctests"),
    [
        ("", "", "", 0),
        ("One line.", "", "", 0),
        ("A.\n\nSource: here", "here", "", 0),
        ("A.\n\nSource: here\n>>> 1\n1\n\nMore.", "here", "More.", 1),
        ("A.\n\nB.\n\n>>> for i in (1, 2):\n...     i\n1\n2\n>>> 3\n3\n\nSource: x", "x", "B.", 2),
        ("A.\n\nThe Source: of it is unknown.", "", "The Source: of it is unknown.", 0),
        ("A.\n\nB:\n\n    x = y\n\nSource: C,\n    page 3.", "C, page 3.", "B:\n\n    x = y", 0),
    ],
)
def test_parts(text, source, description, doctests):
    said = Docstring(text)
    assert (said.source, said.description, len(said.doctests)) == (source, description, doctests)
