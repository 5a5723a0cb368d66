"""Indices counted from the middle of the picture."""

from rope_dit.positions.base import Places, Position
from rope_dit.registry import POSITIONS


@POSITIONS.register("centered")
class Centered(Position):
    """Base: patch indices from the middle of the picture, -(h-1)/2..(h-1)/2 and -(w-1)/2..(w-1)/2.

    Source: this project.

    Three rows and two columns:

    >>> from rope_dit.positions.base import indices
    >>> places = Centered((3, 2)).place(Places((3, 2), *indices((3, 2))))
    >>> places.rows[::2].tolist(), places.columns[:2].tolist()
    ([-1.0, 0.0, 1.0], [-0.5, 0.5])
    """

    stage = 20

    def place(self, places: Places) -> Places:
        """Move the middle to 0."""
        h, w = places.grid
        return Places(places.grid, places.rows - (h - 1) / 2, places.columns - (w - 1) / 2)
