"""Grids larger than the trained one, within its range."""

from rope_dit.positions.base import Places, Position
from rope_dit.registry import POSITIONS


@POSITIONS.register("interpolate")
class Interpolate(Position):
    """Squeezes larger grids into the trained range: first and last token of an axis stand where they did.

    On an axis of n > m places, m trained, index i becomes i * (m-1) / (n-1), and the base goes by m. Axes
    that are not longer than in training stay as they are.

    Source: this project, after position interpolation, arXiv:2306.15595, which divides by n/m; here the last
    token too stands where the last trained one did.

    Trained on three columns, five: a step is (3-1) / (5-1) = 1/2.

    >>> from rope_dit.positions.base import indices
    >>> Interpolate((1, 3)).place(Places((1, 5), *indices((1, 5)))).columns.tolist()
    [0.0, 0.5, 1.0, 1.5, 2.0]
    """

    modifies = True
    stage = 15
    even_steps = False

    def place(self, places: Places) -> Places:
        """Squeeze each axis that is longer than in training."""
        (h, w), (most_h, most_w) = places.grid, self.trained
        rows = places.rows * ((most_h - 1) / (h - 1)) if h > most_h else places.rows
        columns = places.columns * ((most_w - 1) / (w - 1)) if w > most_w else places.columns
        return Places((min(h, most_h), min(w, most_w)), rows, columns)
