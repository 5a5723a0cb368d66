"""Axial rotary embedding of queries and keys that a learned map of each head prepares."""

import torch
from torch import Tensor, nn

from rope_dit.pos_embed.base import Geometry, Normal, Site
from rope_dit.pos_embed.rope2d import Rope2D
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("harope")
class HARoPE(Rope2D):
    """HARoPE: a learned linear map of each layer and head, then axial 2-D RoPE (arXiv:2510.10489).

    q' = R (I + W) q and k' = R (I + W) k with the same map, so that logits depend on the offset alone as
    rope2d's do, while each head chooses which channels turn together and how much each frequency counts.
    Learned: W, weight map [depth, H, K, K], multiplied from the right. It starts at 0, so step 0 is rope2d of
    the same theta, bit for bit. The paper writes the map as a singular value decomposition; here it is the
    matrix itself. `values` are turned and not mapped. Cost: two products with K x K matrices a layer. No
    bias; nothing added.

    Source: Li et al., arXiv:2510.10489 (the map itself: abstract), parametrisation by this project.

    With W = I queries and keys are twice as large:

    >>> pos = HARoPE(Geometry(4, 1, 4, 1, (1, 1)))
    >>> with torch.no_grad():
    ...     weight = pos.map.copy_(torch.eye(4))
    ...     pos.mapped(0, torch.ones(1, 1, 1, 4)).tolist()
    [[[[2.0, 2.0, 2.0, 2.0]]]]
    """

    relative = True
    sees = ("row", "column")
    extrapolates = True
    owner = "harope"
    keeps_norms = False

    def __init__(self, geometry: Geometry, *, theta: float = 100.0, values: bool = False):
        super().__init__(geometry, theta=theta, values=values)
        width = geometry.head_dim
        self.map = nn.Parameter(torch.empty(geometry.depth, geometry.num_heads, width, width))

    def init_weights(self, normal: Normal) -> None:
        """Start as rope2d."""
        self.map.zero_()

    def rotate(self, site: Site, q_BHTK: Tensor, k_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        """Map queries and keys, then turn them."""
        q, k = self.mapped(site.layer, torch.stack((q_BHTK, k_BHTK))).unbind(0)
        return super().rotate(site, q, k)

    def mapped(self, layer: int, x_BHTK: Tensor) -> Tensor:
        """x + x W of each head."""
        return x_BHTK + (x_BHTK @ self.map[layer].to(x_BHTK.dtype)).to(x_BHTK.dtype)
