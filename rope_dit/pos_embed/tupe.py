"""Positions compared with positions, apart from contents."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rope_dit.errors import check
from rope_dit.pos_embed.base import Geometry, Normal, PosEmbed, Site
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("tupe")
class Tupe(PosEmbed):
    """Untied positions: learned vectors of places compared by maps of their own (TUPE, arXiv:2006.15595).

    The logit of query i and key j is (q_i . k_j + (p_i U) . (p_j U')) / sqrt(2K), by head: contents and
    places each get half of the variance. p is a learned vector a token; it, U and U' are shared by all
    layers. Scale and sharing are alike in the paper and in its code, which we follow; where those two
    differ (issue 12 of its repository) is the first token of a text, which has no place: pictures have
    none. The code normalises p to variance 1; here it starts there.

    Weights: table_TD [T, D], initially normal with standard deviation `std`; to_query_DD [D, D], initially
    0; to_key_DD [D, D], normal with 1/sqrt(D). So step 0 knows no place: it is that of `none` with logits
    divided by sqrt(2), and gradients reach to_query_DD first. On another grid the table is resized
    bicubically.

    Source: Ke et al., TUPE, arXiv:2006.15595, and github.com/guolinke/TUPE.

    >>> pos = Tupe(Geometry(32, 4, 8, 2, (5, 7)))
    >>> sum(p.numel() for p in pos.parameters()) == 35 * 32 + 2 * 32**2
    True
    """

    sees = ("row", "column")
    uses_coordinates = False
    needs_grid = True
    rotates = False

    def __init__(self, geometry: Geometry, *, std: float = 1.0):
        check(std > 0, "tupe: option 'std'", std, "a number above 0")
        super().__init__(geometry)
        self.std, dim = std, geometry.dim
        self.table_TD = nn.Parameter(torch.empty(geometry.grid[0] * geometry.grid[1], dim))
        self.to_query_DD = nn.Parameter(torch.empty(dim, dim))
        self.to_key_DD = nn.Parameter(torch.empty(dim, dim))

    def init_weights(self, normal: Normal) -> None:
        """Draw the table and the keys' map."""
        self.table_TD.copy_(self.std * normal("table_TD", tuple(self.table_TD.shape)))
        self.to_query_DD.zero_()
        dim = self.geometry.dim
        self.to_key_DD.copy_(normal("to_key_DD", (dim, dim)) * dim**-0.5)

    def rotate(self, site: Site, q_BHTK: Tensor, k_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        """Leave half of the variance to places."""
        return q_BHTK * 0.5**0.5, k_BHTK

    def bias(self, site: Site, q_BHTK: Tensor, k_BHTK: Tensor) -> Tensor:
        """Compare places."""
        table_TD: Tensor = self.table_TD
        if site.grid != self.geometry.grid:
            table_1Dhw = table_TD.T.unflatten(1, self.geometry.grid)[None]
            table_TD = F.interpolate(table_1Dhw, site.grid, mode="bicubic")[0].flatten(1).T
        heads, width = self.geometry.num_heads, self.geometry.head_dim
        maps = (self.to_query_DD * (2 * width) ** -0.5, self.to_key_DD)
        q_HTK, k_HTK = ((table_TD @ m).unflatten(1, (heads, width)).transpose(0, 1) for m in maps)
        bias_HTT: Tensor = q_HTK @ k_HTK.transpose(1, 2)
        return bias_HTT[None].to(q_BHTK.dtype)
