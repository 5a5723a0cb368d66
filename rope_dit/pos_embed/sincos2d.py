"""Fixed sinusoidal absolute embeddings over two axes."""

import torch
from torch import Tensor

from rope_dit.errors import UserError
from rope_dit.pos_embed.base import Geometry, Grid, PosEmbed, Site
from rope_dit.pos_embed.rotation import frequencies, positions
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("sincos2d")
class SinCos2D(PosEmbed):
    """Fixed 2-D sine-cosine embedding, added after patchify (DiT, arXiv:2212.09748, "ViT frequency-based").

    Half of the width encodes the row, half the column; in each, D/4 sines, then D/4 cosines of
    position * theta^(-4i/D). Buffer: table_TD, float32. Nothing is learned.
    """

    sees = ("row", "column")
    extrapolates = True
    table_TD: Tensor

    def __init__(self, geometry: Geometry, *, theta: float = 10000.0):
        super().__init__(geometry)
        if geometry.dim % 4:
            raise UserError(
                f"sincos2d needs model.dim divisible by 4 (two axes, sine and cosine); got {geometry.dim}."
            )
        self.theta = theta
        self.register_buffer("table_TD", self._table(geometry.grid), persistent=False)

    def add(self, site: Site, x_BTD: Tensor) -> Tensor:
        """Add the table of the grid at hand."""
        table_TD = self.table_TD if site.grid == self.geometry.grid else self._table(site.grid)
        return x_BTD + table_TD.to(x_BTD)

    def _table(self, grid: Grid) -> Tensor:
        omega = frequencies(self.geometry.dim // 4, self.theta, "sincos2d")
        angles = [axis[:, None] * omega for axis in positions(grid)]
        return torch.cat([f(angle) for angle in angles for f in (torch.sin, torch.cos)], dim=1).float()
