"""Fixed sinusoidal absolute embeddings over two axes."""

import torch
from torch import Tensor

from rope_dit.errors import UserError
from rope_dit.pos_embed.base import Geometry, PosEmbed, Site
from rope_dit.pos_embed.rotation import frequencies
from rope_dit.positions.base import Places
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("sincos2d")
class SinCos2D(PosEmbed):
    """Fixed 2-D sine-cosine embedding, added after patchify (DiT, arXiv:2212.09748, "ViT frequency-based").

    Rows come first, unlike in DiT, whose code has the column first: the first half of the width encodes the
    row, the second the column; in each, D/4 sines, then D/4 cosines of position * theta^(-4i/D). To a network
    both orders are one. Buffer: table_TD [T, D], float32. Nothing is learned.

    Source: Peebles and Xie, DiT, arXiv:2212.09748, and its code, but for the order of the axes.

    >>> import math
    >>> table = SinCos2D(Geometry(8, 1, 8, 1, (3, 4))).table_TD
    >>> row, column = [2.0, 0.02], [3.0, 0.03]  # of the last token, times 1 and 1/100
    >>> expected = [f(x) for axis in (row, column) for f in (math.sin, math.cos) for x in axis]
    >>> torch.allclose(table[-1], torch.tensor(expected))
    True
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
        self.register_buffer("table_TD", self._table(geometry.trained_places()), persistent=False)

    def add(self, site: Site, x_BTD: Tensor) -> Tensor:
        """Add the table of the places at hand, before the first block."""
        if site.layer:
            return x_BTD
        return x_BTD + (self.table_TD if site.trained else self._table(site)).to(x_BTD)

    def _table(self, places: Places) -> Tensor:
        omega = frequencies(self.geometry.dim // 4, self.theta, "sincos2d", places.rows)
        angles = [axis[..., None] * omega for axis in (places.rows, places.columns)]
        return torch.cat([f(angle) for angle in angles for f in (torch.sin, torch.cos)], dim=-1).float()
