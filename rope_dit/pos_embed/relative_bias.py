"""A learned bias of the logits for each offset between two tokens."""

import torch
from torch import Tensor, nn

from rope_dit.errors import check
from rope_dit.pos_embed.base import Geometry, Normal, Site
from rope_dit.pos_embed.offsets import Tabled
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("relative_bias")
class RelativeBias(Tabled):
    """Learned bias for each offset in rows and columns, by head and layer (Swin, arXiv:2103.14030).

    The logit of query i and key j gets B[layer, head, row_j - row_i, column_j - column_i]. Swin uses it in
    windows; here the window is the picture.

    Weights: table_LHyx [layers, heads, 2h-1, 2w-1], whose middle is the offset 0, initially normal with
    standard deviation `std`. Swin's is 0.02; ours is 0, so that step 0 is that of `none` and every arm starts
    from the same logits. Gradients flow from there, since the bias is added.

    Offsets count in steps of the trained grid. Where they are no whole numbers, the table is read linearly
    between its entries; where a grid reaches farther than it does, by a step or more, the table is resized
    bicubically, as Swin's code does for another window, so the logits of smaller offsets change too; beyond
    its ends it is read there.

    Source: Liu et al., Swin, arXiv:2103.14030, eq. 4 (bias) and section 3.2 (bicubic for another window).

    >>> tuple(RelativeBias(Geometry(32, 4, 8, 2, (5, 7))).table_LHyx.shape)
    (2, 4, 9, 13)
    """

    relative = True
    sees = ("row", "column")

    def __init__(self, geometry: Geometry, *, std: float = 0.0):
        check(std >= 0, "relative_bias: option 'std'", std, "0 or more")
        super().__init__(geometry)
        self.std, (h, w) = std, geometry.grid
        shape = geometry.depth, geometry.num_heads, 2 * h - 1, 2 * w - 1
        self.table_LHyx = nn.Parameter(torch.empty(shape))

    def init_weights(self, normal: Normal) -> None:
        """Draw the table, or leave it at 0."""
        self.table_LHyx.copy_(self.std * normal("table_LHyx", tuple(self.table_LHyx.shape)))

    def bias(self, site: Site, q_BHTK: Tensor, k_BHTK: Tensor) -> Tensor:
        """Read the layer's table."""
        bias = self.between(site, self.table_LHyx[site.layer]).to(q_BHTK.dtype)
        return bias if bias.dim() == 4 else bias[None]
