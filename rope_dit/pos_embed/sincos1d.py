"""Fixed sinusoidal absolute embeddings over the raster order of the tokens."""

import torch
from torch import Tensor

from rope_dit.errors import UserError
from rope_dit.pos_embed.base import Geometry, PosEmbed, Site
from rope_dit.pos_embed.rotation import frequencies
from rope_dit.positions.base import Places
from rope_dit.positions.coordinates import Coordinates
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("sincos1d")
class SinCos1D(PosEmbed):
    """Fixed sine-cosine embedding over raster order, added after patchify (arXiv:1706.03762).

    Token n = row*w + column has sin(n * f_i) in channel 2i and cos(n * f_i) in channel 2i+1, where f_i =
    theta^(-2i/D), i = 0..D/2-1, radians a token. A row's length enters it, so a grid of another width changes
    the table. Buffer: table_TD [T, D], float32. Nothing is learned.

    Source: Vaswani et al., arXiv:1706.03762, section 3.5; its use over raster order: this project.

    >>> pos = SinCos1D(Geometry(4, 1, 4, 1, (2, 3)))
    >>> import math
    >>> expected = [math.sin(5), math.cos(5), math.sin(5 / 100), math.cos(5 / 100)]  # the last token
    >>> torch.allclose(pos.table_TD[-1], torch.tensor(expected))
    True
    """

    sees = ("row", "column")
    numbers_tokens = True
    table_TD: Tensor

    def __init__(self, geometry: Geometry, *, theta: float = 10000.0):
        if geometry.dim % 2:
            raise UserError(f"sincos1d needs an even model.dim (sine and cosine); got {geometry.dim}.")
        if not Coordinates(geometry.positions, geometry.grid).even_steps:
            raise UserError(
                f"sincos1d counts tokens in raster order: model.positions got '{geometry.positions}', "
                "expected positions whose steps are equally long on both axes, such as index."
            )
        super().__init__(geometry)
        self.theta = theta
        self.register_buffer("table_TD", self._table(geometry.trained_places()), persistent=False)

    def add(self, site: Site, x_BTD: Tensor) -> Tensor:
        """Add the table of the places at hand, before the first block."""
        if site.layer:
            return x_BTD
        return x_BTD + (self.table_TD if site.trained else self._table(site)).to(x_BTD)

    def _table(self, places: Places) -> Tensor:
        omega = frequencies(self.geometry.dim // 2, self.theta, "sincos1d", places.rows)
        angle = (places.rows * places.grid[1] + places.columns)[..., None] * omega
        return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(-2).float()
