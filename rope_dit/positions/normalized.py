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
    so their bases need other values here.
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
