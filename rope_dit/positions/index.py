"""Coordinates are indices."""

from rope_dit.positions.base import Position
from rope_dit.registry import POSITIONS


@POSITIONS.register("index")
class Index(Position):
    """Base: patch indices, row 0..h-1 and column 0..w-1."""

    stage = 20
