"""Rotary embedding in which content gives magnitudes and places give angles."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rope_dit.errors import UserError
from rope_dit.pos_embed.base import Geometry, Normal, Site
from rope_dit.pos_embed.rotation import Rotating, along_axes, frequencies
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("pope")
class PoPE(Rotating):
    """PoPE, axial: logits are sums of sp(q_c) sp(k_c) cos(a_c(i) - a_c(j) + delta_c) over channels c.

    sp is softplus. Content says how large a channel is and places say its angle: a_c is row * theta^(-2c/K)
    for the first half of the head and column * the same for the second, radians; each channel has its own
    frequency, where RoPE has one a pair. So queries and keys come back twice as wide, (sp cos a, sp sin a),
    and the scale stays 1/sqrt(K). Learned: delta, weight delta [depth, H, K], kept within [-2 pi, 0] by
    clamping; it starts at 0, so that step 0 is the equation without it and equal content at one place meets
    in phase. `values`: values times cosine and sine, and sums turned back: v_c cos(a_c(i) - a_c(j)).
    Cost: attention on queries and keys of width 2K. No bias; nothing added.

    Source: Gopalakrishnan et al., arXiv:2509.10534; two axes by this project.

    One channel an axis, one row down, content 0, of which softplus is log 2: log(2)^2 (cos 1 + cos 0).

    >>> pos, zeros = PoPE(Geometry(2, 1, 2, 1, (2, 1))), torch.zeros(1, 1, 2, 2)
    >>> with torch.no_grad():
    ...     weight = pos.delta.zero_()
    ...     site = Site((2, 1), torch.arange(2.0), torch.zeros(2), 0, zeros, zeros, False)
    ...     q, k = pos.rotate(site, zeros, zeros)
    >>> f"{(q @ k.mT)[0, 0, 1, 0]:.4f}", f"{math.log(2) ** 2 * (math.cos(1) + 1):.4f}"
    ('0.7400', '0.7400')
    """

    relative = True
    sees = ("row", "column")
    extrapolates = True
    extrapolates_frequencies = True
    owner = "pope"

    def __init__(self, geometry: Geometry, *, theta: float = 100.0, values: bool = False):
        if geometry.head_dim % 2:
            raise UserError(
                f"pope needs an even head width (half for each axis); got {geometry.head_dim} (dim "
                f"{geometry.dim} / {geometry.num_heads} heads). Change model.num-heads or model.dim."
            )
        super().__init__(geometry)
        frequencies(1, theta, self.owner)  # which refuses a base that is none
        self.theta, self.values = theta, values
        self.delta = nn.Parameter(torch.empty(geometry.depth, geometry.num_heads, geometry.head_dim))

    def init_weights(self, normal: Normal) -> None:
        """Start in phase."""
        self.delta.zero_()

    def operator(self, site: Site) -> Tensor:
        """Angles of places, [1, T, K] or [B, 1, T, K]."""
        f = frequencies(self.geometry.head_dim // 2, self.theta, self.owner, site.rows)
        return along_axes(site, f.expand(1, 1, 2, -1)).flatten(-2)

    def rotate(self, site: Site, q_BHTK: Tensor, k_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        """Magnitudes from content, angles from places; delta is added to those of queries."""
        angle = self._kept(site)
        delta_H1K = self.delta[site.layer].clamp(-2 * math.pi, 0)[:, None].to(angle)
        return _polar(F.softplus(q_BHTK), angle + delta_H1K), _polar(F.softplus(k_BHTK), angle)

    def turned(self, operator: Any, x_BHTK: Tensor, back: bool = False) -> Tensor:
        """Values [B, H, T, K] to [B, H, T, 2K], and sums of those back to [B, H, T, K]."""
        if not back:
            return _polar(x_BHTK, operator)
        cosines, sines = x_BHTK.chunk(2, dim=-1)
        back_BHTK: Tensor = cosines * operator.cos().float() + sines * operator.sin().float()
        return back_BHTK.to(x_BHTK.dtype)


def _polar(size_BHTK: Tensor, angle: Tensor) -> Tensor:
    """(size * cos, size * sin), as wide again."""
    tables = torch.cat((angle.cos(), angle.sin()), dim=-1).float()
    return (torch.cat((size_BHTK, size_BHTK), dim=-1) * tables).to(size_BHTK.dtype)
