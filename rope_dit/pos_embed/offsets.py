"""What variants share whose logits depend on offsets: how far a key is, in steps of the trained grid.

An offset is the key's place minus the query's. Where tokens fill their grid, rows are functions of a token's
row and columns of its column: what depends on the offset along one axis is made for pairs of rows, or of
columns. All is sums and products, so that gradients have the same bits in every call, also compiled.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from rope_dit.pos_embed.base import Geometry, Grid, PosEmbed, Site, exactly
from rope_dit.positions.base import Places
from rope_dit.positions.coordinates import Coordinates

Axes = tuple[Tensor, Tensor]
"""one of rows and one of columns"""


def are_all(places: Places) -> bool:
    """Whether tokens fill their grid, rather than being some of it."""
    return places.rows.shape[-1] == places.grid[0] * places.grid[1]


def offsets(places: Places) -> Axes:
    """Offsets between rows [..., h, h] and columns [..., w, w]; of some tokens [..., n, n] and [..., n, n].

    >>> from rope_dit.positions.base import indices
    >>> offsets(Places((1, 3), *indices((1, 3))))[1].tolist()
    [[0.0, 1.0, 2.0], [-1.0, 0.0, 1.0], [-2.0, -1.0, 0.0]]
    """
    rows, columns = places.rows, places.columns
    if are_all(places):
        rows, columns = (axis.unflatten(-1, places.grid) for axis in (rows, columns))
        rows, columns = rows[..., 0], columns[..., 0, :]
    return rows[..., None, :] - rows[..., None], columns[..., None, :] - columns[..., None]


def summed(places: Places, of_rows: Tensor, of_columns: Tensor) -> Tensor:
    """Add what depends on rows, [..., h, h], and on columns, [..., w, w], for all pairs: [..., T, T]."""
    if not are_all(places):
        return of_rows + of_columns
    both = of_rows[..., :, None, :, None] + of_columns[..., None, :, None, :]
    return both.flatten(-2).flatten(-3, -2)


def hats(offset: Tensor, reach: int) -> Tensor:
    """Weights [..., 2*reach+1] by which a table from -reach to reach is read at an offset, linearly between.

    Beyond its ends the table is read there.

    >>> hats(torch.tensor([-2.0, 0.25, 9.0]), 2).tolist()
    [[1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.75, 0.25, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0]]
    """
    entries = torch.arange(-reach, reach + 1, dtype=offset.dtype, device=offset.device)
    return (1 - (offset.clamp(-reach, reach)[..., None] - entries).abs()).clamp(min=0)


class Steps(PosEmbed):
    """Base of variants that measure offsets in steps of the trained grid, whatever `model.positions` says."""

    def __init__(self, geometry: Geometry):
        super().__init__(geometry)
        self.coordinates = Coordinates(geometry.positions, geometry.grid)
        places = self.coordinates(geometry.grid)
        firsts = places.rows[:: geometry.grid[1]], places.columns[: geometry.grid[1]]
        self.steps = tuple(float(axis[1] - axis[0]) if len(axis) > 1 else 1.0 for axis in firsts)

    def in_steps(self, places: Places) -> Axes:
        """Return `offsets` in steps; of an axis whose places all coincide 0."""
        rows, columns = (d / (step or 1.0) for d, step in zip(offsets(places), self.steps, strict=True))
        return rows, columns

    def reach(self, here: Places) -> Grid:
        """Count the whole steps of a grid's largest offsets in evaluation, or the trained grid's if larger.

        Of a grid that an extrapolation squeezes, those that are left: of pictures at several times the most.
        """
        trained = self.geometry.grid[0] - 1, self.geometry.grid[1] - 1
        if here.grid == self.geometry.grid:
            return trained
        places = self.coordinates(here.grid)
        axes = places.rows, places.columns
        if (stretch := getattr(here, "stretch", None)) is not None:
            axes = self.squeezed(stretch, places)
        spans = (float((axis.amax(-1) - axis.amin(-1)).max()) for axis in axes)
        most = [math.floor(span / (step or 1.0) + 1e-6) for span, step in zip(spans, self.steps, strict=True)]
        return max(trained[0], most[0]), max(trained[1], most[1])


class Tabled(Steps):
    """Base of variants with a table of offsets, N numbers each; a larger grid has it resized bicubically.

    Buffers: row_hats [h, h, 2h-1] and column_hats [w, w, 2w-1], float32, for the trained places.
    """

    row_hats: Tensor
    column_hats: Tensor

    def __init__(self, geometry: Geometry):
        super().__init__(geometry)
        rows, columns = self._hats(geometry.trained_places())
        self.register_buffer("row_hats", rows.float(), persistent=False)
        self.register_buffer("column_hats", columns.float(), persistent=False)

    def between(self, site: Site, table_Nyx: Tensor) -> Tensor:
        """Read a table [N, 2h-1, 2w-1] at the offsets of all pairs of tokens: [N, T, T] or [B, N, T, T]."""
        with exactly(site.rows.device):  # what is read is exact
            if site.trained:
                rows, columns = self.row_hats, self.column_hats
            else:
                rows, columns = (hat.to(table_Nyx) for hat in self._hats(site))
                size = rows.shape[-1], columns.shape[-1]
                if size != table_Nyx.shape[1:]:
                    table_Nyx = F.interpolate(table_Nyx[None], size, mode="bicubic")[0]
            if not are_all(site):
                return torch.einsum("...ijy,nyx,...ijx->...nij", rows, table_Nyx, columns)
            read = torch.einsum("...rsy,nyx,...cdx->...nrcsd", rows, table_Nyx, columns)
            return read.flatten(-2).flatten(-3, -2)

    def _hats(self, places: Places) -> Axes:
        rows, columns = (
            hats(offset, reach)
            for offset, reach in zip(self.in_steps(places), self.reach(places), strict=True)
        )
        return rows, columns
