"""Position from the picture's edges: a small convolution over the grid of tokens."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rope_dit.pos_embed.base import Geometry, Normal, PosEmbed, Site, exactly
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("conv")
class Conv(PosEmbed):
    """Depthwise 3x3 convolution over the tokens, added to them before blocks (CPE, arXiv:2102.10882).

    x <- x + conv(x), each channel with a kernel of its own, and zeros around the picture, by which tokens
    know how far the edges are. Before each block, or the first alone (`layers`); the paper has one after its
    first block. No bias: a constant is no position.

    Weights: kernel_LD133 [layers or 1, D, 1, 3, 3], initially 0, so that step 0 is that of `none`; gradients
    flow, since a kernel's gradient is the tokens. Needs all tokens of the grid.

    Source: Chu et al., Conditional Positional Encodings, arXiv:2102.10882 (its PEG).

    >>> tuple(Conv(Geometry(32, 4, 8, 2, (5, 7))).kernel_LD133.shape)
    (2, 32, 1, 3, 3)
    """

    sees = ("row", "column")
    uses_coordinates = False
    needs_grid = True

    def __init__(self, geometry: Geometry, *, layers: Literal["all", "first"] = "all"):
        super().__init__(geometry)
        self.count = geometry.depth if layers == "all" else 1
        self.kernel_LD133 = nn.Parameter(torch.empty(self.count, geometry.dim, 1, 3, 3))

    def init_weights(self, normal: Normal) -> None:
        """Leave the kernels at 0."""
        self.kernel_LD133.zero_()

    def add(self, site: Site, x_BTD: Tensor) -> Tensor:
        """Add the convolution before blocks that have a kernel."""
        if site.layer >= self.count:
            return x_BTD
        tokens = site.grid[0] * site.grid[1]
        assert x_BTD.shape[1] == tokens, f"conv needs all {tokens} tokens of the grid, got {x_BTD.shape[1]}"
        kernel = self.kernel_LD133[site.layer].to(x_BTD.dtype)
        x_BDhw = x_BTD.transpose(1, 2).unflatten(2, site.grid).contiguous()
        # float32, channels first: there CUDA has a kernel of torch's own, which sums in one order
        with exactly(x_BTD.device):
            added = F.conv2d(x_BDhw, kernel, padding=1, groups=len(kernel))
        return x_BTD + added.flatten(2).transpose(1, 2)
