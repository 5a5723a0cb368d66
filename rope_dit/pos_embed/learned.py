"""Learned absolute embeddings."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rope_dit.errors import check
from rope_dit.pos_embed.base import Geometry, Normal, PosEmbed, Site
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("learned")
class Learned(PosEmbed):
    """Learned absolute embedding, one vector a token, added after patchify (ViT, arXiv:2010.11929).

    Weights: table_TD [h*w, D], initially normal with standard deviation `std`. On another grid than the
    trained one the table is resized bicubically, as ViT does (its section 3.2 says 2D interpolation).

    Source: Dosovitskiy et al., ViT, arXiv:2010.11929, eq. 1 (E_pos).

    >>> tuple(Learned(Geometry(32, 4, 8, 2, (5, 7))).table_TD.shape)
    (35, 32)
    """

    sees = ("row", "column")
    uses_coordinates = False
    needs_grid = True

    def __init__(self, geometry: Geometry, *, std: float = 0.02):
        check(std >= 0, "learned: option 'std'", std, "0 or more")
        super().__init__(geometry)
        self.std = std
        self.table_TD = nn.Parameter(torch.empty(geometry.grid[0] * geometry.grid[1], geometry.dim))

    def init_weights(self, normal: Normal) -> None:
        """Draw the table."""
        self.table_TD.copy_(self.std * normal("table_TD", tuple(self.table_TD.shape)))

    def add(self, site: Site, x_BTD: Tensor) -> Tensor:
        """Add the table before the first block, resized where the grid asks for it."""
        if site.layer:
            return x_BTD
        table_TD: Tensor = self.table_TD
        if site.grid != self.geometry.grid:
            table_1Dhw = table_TD.T.unflatten(1, self.geometry.grid)[None]
            table_TD = F.interpolate(table_1Dhw, site.grid, mode="bicubic")[0].flatten(1).T
        return x_BTD + table_TD.to(x_BTD.dtype)
