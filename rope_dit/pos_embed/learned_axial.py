"""Learned absolute embeddings of rows and of columns."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rope_dit.errors import check
from rope_dit.pos_embed.base import Geometry, Normal, PosEmbed, Site
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("learned_axial")
class LearnedAxial(PosEmbed):
    """Learned absolute embedding: a vector a row plus a vector a column, added after patchify.

    Token (r, c) gets rows[r] + columns[c]: (h + w) * D numbers, where `learned` has h * w * D. Weights:
    rows_hD [h, D] and columns_wD [w, D], initially normal with standard deviation `std`. On another grid
    each table is resized cubically along its axis.

    Source: this project (the factorised form of ViT's table, arXiv:2010.11929, in `learned`).

    >>> pos = LearnedAxial(Geometry(32, 4, 8, 2, (5, 7)))
    >>> sum(p.numel() for p in pos.parameters()) == (5 + 7) * 32
    True
    """

    sees = ("row", "column")
    uses_coordinates = False
    needs_grid = True

    def __init__(self, geometry: Geometry, *, std: float = 0.02):
        check(std >= 0, "learned_axial: option 'std'", std, "0 or more")
        super().__init__(geometry)
        self.std, (h, w) = std, geometry.grid
        self.rows_hD = nn.Parameter(torch.empty(h, geometry.dim))
        self.columns_wD = nn.Parameter(torch.empty(w, geometry.dim))

    def init_weights(self, normal: Normal) -> None:
        """Draw both tables."""
        self.rows_hD.copy_(self.std * normal("rows_hD", tuple(self.rows_hD.shape)))
        self.columns_wD.copy_(self.std * normal("columns_wD", tuple(self.columns_wD.shape)))

    def add(self, site: Site, x_BTD: Tensor) -> Tensor:
        """Add the vectors of each token's row and column before the first block."""
        if site.layer:
            return x_BTD
        rows, columns = _resized(self.rows_hD, site.grid[0]), _resized(self.columns_wD, site.grid[1])
        return x_BTD + (rows[:, None] + columns).flatten(0, 1).to(x_BTD.dtype)


def _resized(table_nD: Tensor, length: int) -> Tensor:
    if length == len(table_nD):
        return table_nD
    return F.interpolate(table_nD.T[None, :, :, None], (length, 1), mode="bicubic")[0, :, :, 0].T
