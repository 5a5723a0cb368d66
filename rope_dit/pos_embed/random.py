"""A control: an absolute embedding that says which token it is, and nothing of where."""

import torch
from torch import Tensor

from rope_dit.errors import check
from rope_dit.pos_embed.base import Geometry, Grid, PosEmbed, Site
from rope_dit.randomness import Stream, name_index, normal
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("random")
class RandomTable(PosEmbed):
    """Control: a frozen random vector a token, added after patchify; the same in every run.

    Token (row, column) gets `std` times a vector of standard normals that depends on row and column alone, so
    a larger grid keeps those of the trained one. Two vectors say nothing of how near their tokens are. The
    default 0.7 is near sincos2d's root mean square, sqrt(1/2): what sincos2d gains over this control, it
    gains by geometry. Nothing is learned. Buffer: table_TD [T, D], float32.

    Source: this project.

    >>> small, large = (RandomTable(Geometry(32, 4, 8, 2, (5, w))).table_TD for w in (7, 9))
    >>> torch.equal(small.unflatten(0, (5, 7)), large.unflatten(0, (5, 9))[:, :7])
    True
    """

    sees = ("row", "column")
    extrapolates = True
    uses_coordinates = False
    needs_grid = True
    table_TD: Tensor

    def __init__(self, geometry: Geometry, *, std: float = 0.7):
        check(std > 0, "random: option 'std'", std, "a number above 0")
        super().__init__(geometry)
        self.std = std
        table_TD = self._table(geometry.grid, torch.device("cpu"))
        self.register_buffer("table_TD", table_TD, persistent=False)

    def add(self, site: Site, x_BTD: Tensor) -> Tensor:
        """Add the table before the first block."""
        if site.layer:
            return x_BTD
        known = site.grid == self.geometry.grid
        return x_BTD + (self.table_TD if known else self._table(site.grid, x_BTD.device)).to(x_BTD)

    def _table(self, grid: Grid, device: torch.device) -> Tensor:
        """Row r of the grid is drawn as index r, where a longer draw begins with a shorter one."""
        rows = name_index("random.table", device) + torch.arange(grid[0], device=device)
        drawn = normal(0, Stream.VARIANT_WEIGHTS, rows, grid[1] * self.geometry.dim)
        return self.std * drawn.reshape(grid[0] * grid[1], self.geometry.dim)
