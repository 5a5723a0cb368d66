"""A table of rates as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

SEED = 20240501
"""of all draws: cells differ in what they are about, not in luck"""
FRESH = SEED + 1
"""of what a search has chosen, which is measured on other studies than it was chosen by"""
SEEDS = (3, 5, 7, 10)
"""training seeds of an arm"""
BEFORE_AFTER = tuple(f"n = {n} {when}" for n in SEEDS for when in ("before", "after"))
"""columns"""


@dataclass(frozen=True)
class Table:
    """Rates under one heading.

    Attributes:
        title: heading.
        reading: what the numbers are shares of.
        columns: names; rows have one cell each.
        rows: a float is a share, shown in percent.
    """

    title: str
    reading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float]]

    def markdown(self) -> str:
        """The section of a Markdown document.

        >>> print(Table("Null", "Any verdict.", ["noise", "n = 3"], [["normal", 0.0512]]).markdown())
        ## Null
        Any verdict.
        <BLANKLINE>
        | noise | n = 3 |
        |---|---:|
        | normal | 5.1 |
        <BLANKLINE>
        """
        numbers = [all(isinstance(row[i], float) for row in self.rows) for i in range(len(self.columns))]
        rule = ["---:" if number else "---" for number in numbers]
        cells = [
            [cell if isinstance(cell, str) else f"{100 * cell:.1f}" for cell in row] for row in self.rows
        ]
        lines = [f"| {' | '.join(row)} |" for row in cells]
        head = [f"| {' | '.join(self.columns)} |", f"|{'|'.join(rule)}|"]
        return "\n".join([f"## {self.title}", self.reading, "", *head, *lines, ""])
