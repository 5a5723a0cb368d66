"""Coordinates are indices."""

from rope_dit.positions.base import Position
from rope_dit.registry import POSITIONS


@POSITIONS.register("index")
class Index(Position):
    """Base: patch indices, row 0..h-1 and column 0..w-1.

    Source: this project.

    >>> from rope_dit.positions.base import Places, indices
    >>> Index((2, 2)).place(Places((2, 2), *indices((2, 2)))).rows.tolist()
    [0.0, 0.0, 1.0, 1.0]
    """

    stage = 20
