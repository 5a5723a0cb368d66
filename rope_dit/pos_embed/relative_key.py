"""A learned vector for each offset between two tokens, which the query is compared with."""

import torch
from torch import Tensor, nn

from rope_dit.pos_embed.base import Geometry, Normal, Site
from rope_dit.pos_embed.offsets import Tabled
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("relative_key")
class RelativeKey(Tabled):
    """Queries meet a learned vector for each offset, by layer (Shaw et al., arXiv:1803.02155).

    The logit of query i and key j gets q_i . R[row_j - row_i, column_j - column_i] / sqrt(K), with q before
    any rotation and R shared by the heads of a layer. `decomposed`: R is a vector for the offset in rows
    plus one for that in columns (MViTv2, arXiv:2112.01526, and SAM, whose code leaves out the division by
    sqrt(K)). Of Shaw's two terms this is the one at the keys; the values stay as they are.

    Weights: table_LKyx [layers, K, 2h-1, 2w-1], or rows_LKy [layers, K, 2h-1] and columns_LKx [layers, K,
    2w-1]; middles are offset 0. All start at 0, so that step 0 is that of `none`; gradients flow, since
    they are the queries. Other places and grids: as in `relative_bias`.

    Source: Shaw et al., arXiv:1803.02155, eq. 4 and section 3.3; Li et al., MViTv2, arXiv:2112.01526
    (decomposed); offsets in two axes: this project.

    >>> whole, parts = (RelativeKey(Geometry(32, 4, 8, 2, (5, 7)), decomposed=d) for d in (False, True))
    >>> [sum(p.numel() for p in pos.parameters()) for pos in (whole, parts)] == [2*8*9*13, 2*8*(9+13)]
    True
    """

    relative = True
    sees = ("row", "column")

    def __init__(self, geometry: Geometry, *, decomposed: bool = False):
        super().__init__(geometry)
        self.decomposed, (h, w) = decomposed, geometry.grid
        first, y, x = (geometry.depth, geometry.head_dim), 2 * h - 1, 2 * w - 1
        if decomposed:
            self.rows_LKy, self.columns_LKx = (nn.Parameter(torch.empty(*first, n)) for n in (y, x))
        else:
            self.table_LKyx = nn.Parameter(torch.empty(*first, y, x))

    def init_weights(self, normal: Normal) -> None:
        """Leave all at 0."""
        for p in self.parameters():
            p.zero_()

    def bias(self, site: Site, q_BHTK: Tensor, k_BHTK: Tensor) -> Tensor:
        """Compare each query with the vectors of its offsets: a product of matrices for each place."""
        if self.decomposed:
            table = self.rows_LKy[site.layer][:, :, None] + self.columns_LKx[site.layer][:, None]
        else:
            table = self.table_LKyx[site.layer]
        vectors = self.between(site, table).to(q_BHTK.dtype)  # [K, T, T] or [B, K, T, T]
        letters = "kij" if vectors.dim() == 3 else "bkij"
        scaled = q_BHTK * self.geometry.head_dim**-0.5
        return torch.einsum(f"bhik,{letters}->bhij", scaled, vectors).to(q_BHTK.dtype)
