"""Coordinates relative to the picture's sides."""

from typing import Literal

from rope_dit.positions.base import Grid, Places, Position
from rope_dit.registry import POSITIONS


@POSITIONS.register("normalized")
class Normalized(Position):
    """Base: centres of patches in a picture whose sides reach from -1 to 1, as in DINOv3's code.

    2 * (index + 1/2) / n - 1, where n is by `by` the axis' own number of patches (separate), the smaller
    (min) or the larger (max) of both. The last two keep a step down and a step right equally long, and let
    one of the sides reach elsewhere. So `RopePositionEmbedding` of github.com/facebookresearch/dinov3 does
    (`normalize_coords`). It then turns by 2 pi * coordinate / period; our variants by coordinate * frequency,
    so their bases need other values here; `rope2d:frequencies=dinov3` has theirs.

    Source: DINOv3's code, as above.

    Two patches have their centres at -1/2 and 1/2; by the larger side, of four, at -3/4 and -1/4.

    >>> from rope_dit.positions.base import indices
    >>> places = Places((2, 4), *indices((2, 4)))
    >>> [Normalized((2, 4), by=by).place(places).rows[::4].tolist() for by in ("separate", "max")]
    [[-0.5, 0.5], [-0.75, -0.25]]
    """

    stage = 20

    def __init__(self, trained: Grid, *, by: Literal["separate", "min", "max"] = "separate"):
        super().__init__(trained)
        self.by, self.even_steps = by, by != "separate"

    def place(self, places: Places) -> Places:
        """Bring indices to (-1, 1)."""
        h, w = places.grid
        if self.by != "separate":
            h = w = min(h, w) if self.by == "min" else max(h, w)
        return Places(places.grid, 2 * (places.rows + 0.5) / h - 1, 2 * (places.columns + 0.5) / w - 1)
