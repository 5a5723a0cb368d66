"""A fixed bias of the logits that falls with distance."""

import math
from typing import Literal

import torch
from torch import Tensor

from rope_dit.pos_embed.base import Geometry, PosEmbed, Site
from rope_dit.pos_embed.offsets import offsets, summed
from rope_dit.positions.base import Places
from rope_dit.registry import POS_EMBEDS


def slopes(num_heads: int) -> list[float]:
    """ALiBi's slope of each head: 2^(-8/n), 2^(-16/n), ... 2^-8 for n heads where n is a power of 2.

    Otherwise those of the next smaller power of 2, then every second one of the power of 2 above, from its
    first, as the authors' code has it.

    >>> slopes(8)
    [0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, 0.00390625]
    >>> slopes(6) == [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3]
    True
    """
    most = 2 ** int(math.log2(num_heads))
    first = [2 ** (-8 * (i + 1) / most) for i in range(most)]
    return first + [2 ** (-4 * (i + 1) / most) for i in range(0, 2 * (num_heads - most), 2)]


@POS_EMBEDS.register("alibi2d")
class Alibi2D(PosEmbed):
    """Logits fall linearly with the distance in the plane, each head at its own slope (arXiv:2108.12409).

    The logit of query i and key j gets -m_h * distance(i, j); distance is Euclidean, or the sum of both
    axes' (manhattan), in the coordinates of `model.positions`. On one row of tokens it is |i - j|, as ALiBi
    has it for text, but to both sides. Slopes m_h are ALiBi's: 2^-1 .. 2^-8 for 8 heads. Nothing is learned.

    Buffer: bias_HTT [heads, T, T], float32, for the trained places.

    Source: Press et al., arXiv:2108.12409, section 3; its use in the plane: this project.

    >>> pos = Alibi2D(Geometry(64, 8, 8, 2, (4, 5)))
    >>> pos.bias_HTT[:2, 0, -1].tolist()  # 3 down and 4 right, slopes 1/2 and 1/4
    [-2.5, -1.25]
    """

    relative = True
    sees = ("row", "column")
    symmetric = True
    extrapolates = True
    bias_HTT: Tensor

    def __init__(self, geometry: Geometry, *, distance: Literal["euclidean", "manhattan"] = "euclidean"):
        super().__init__(geometry)
        self.distance = distance
        self.register_buffer("bias_HTT", self._bias(geometry.trained_places()).float(), persistent=False)

    def bias(self, site: Site, q_BHTK: Tensor, k_BHTK: Tensor) -> Tensor:
        """Fall with distance."""
        bias = self.bias_HTT if site.trained else self._bias(site)
        return (bias if bias.dim() == 4 else bias[None]).to(q_BHTK.dtype)

    def _bias(self, places: Places) -> Tensor:
        """[H, T, T], or [B, H, T, T], in the type of the places."""
        power = 2 if self.distance == "euclidean" else 1
        rows, columns = (offset.abs() ** power for offset in offsets(places))
        distance = summed(places, rows, columns) ** (1 / power)
        return torch.stack([-slope * distance for slope in slopes(self.geometry.num_heads)], dim=-3)
