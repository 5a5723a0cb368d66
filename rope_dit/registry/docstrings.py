"""What the docstring of a registered thing says, by its parts: summary, description, source, doctests."""

import re
from dataclasses import dataclass
from functools import cached_property

_SOURCE = re.compile(r"^Source:[ ]*(.*(?:\n(?!\s*\n|\s*>>>).+)*)", re.M)
"""from the word to the end of its paragraph, or to a doctest"""
_DOCTEST = re.compile(r"^>>>.*\n?(?:(?!>>>)[ ]*\S.*\n?)*", re.M)
"""a command with what goes on below it and what it prints, up to a blank line"""


@dataclass(frozen=True)
class Docstring:
    r"""A docstring without its indentation.

    >>> said = Docstring("Doubles.\n\nThe sum is x + x.\n\nSource: a book,\npage 3.\n\n>>> 2 * 2\n4\n")
    >>> said.summary, said.description, said.source, said.doctests
    ('Doubles.', 'The sum is x + x.', 'a book, page 3.', ('>>> 2 * 2\n4',))
    """

    text: str

    @property
    def summary(self) -> str:
        """Its first line."""
        return self.text.partition("\n")[0]

    @property
    def source(self) -> str:
        """What it says after `Source:`, on one line; empty where it says nothing."""
        found = _SOURCE.search(self.text)
        return " ".join(found[1].split()) if found else ""

    @cached_property
    def doctests(self) -> tuple[str, ...]:
        """Its commands, each with what it prints."""
        return tuple(found[0].rstrip() for found in _DOCTEST.finditer(self.text))

    @property
    def description(self) -> str:
        """All that stands below its first line, but for the source and doctests."""
        rest = _DOCTEST.sub("", _SOURCE.sub("", self.text.partition("\n")[2]))
        return re.sub(r"\n\s*\n(\s*\n)+", "\n\n", rest).strip()
