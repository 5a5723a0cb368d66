"""Axial rotary embedding whose frequencies are learned."""

from typing import Literal

import torch
from torch import Tensor, nn

from rope_dit.pos_embed.base import Geometry, Normal
from rope_dit.pos_embed.rotation import Turning, along_axes, frequencies
from rope_dit.positions.base import Places
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("rope2d_learned")
class Rope2DLearned(Turning):
    """Axial 2-D RoPE with learned frequencies of each layer and head (k-diffusion's first AxialRoPE).

    The angle of pair i (of n = K/4 an axis) is position * theta^(-i/n) * exp(w), radians. Learned: w, weight
    log_scale [depth, H, 2, n], the logarithm of the frequency less that of rope2d's. It starts at 0, so
    step 0 is that of rope2d of the same theta, bit for bit: exp(0) is 1. (k-diffusion learns log frequencies
    that start from pi to 5 pi, for positions in [-1, 1].) No bias; nothing added.

    Source: learned log frequencies a head: github.com/crowsonkb/k-diffusion, models/axial_rope.py.

    At w = log 2 pairs turn twice as fast: by 2 radians a row.

    >>> pos = Rope2DLearned(Geometry(4, 1, 4, 1, (2, 1)))
    >>> with torch.no_grad():
    ...     weight = pos.log_scale.fill_(torch.tensor(2.0).log())
    ...     angles = pos.turns(pos.geometry.trained_places(), 0)
    >>> [f"{angle:.4f}" for angle in angles[0, 1, :, 0].tolist()]
    ['2.0000', '0.0000']
    """

    relative = True
    sees = ("row", "column")
    extrapolates = True
    axes = 2
    owner = "rope2d_learned"

    def __init__(
        self,
        geometry: Geometry,
        *,
        theta: float = 100.0,
        pairing: Literal["half", "interleaved"] = "half",
        fraction: float = 1.0,
        values: bool = False,
    ):
        super().__init__(geometry, pairing=pairing, fraction=fraction, values=values)
        frequencies(1, theta, self.owner)  # which refuses a base that is none
        self.theta = theta
        self.log_scale = nn.Parameter(torch.empty(geometry.depth, geometry.num_heads, 2, self.per_axis))

    def init_weights(self, normal: Normal) -> None:
        """Start as rope2d."""
        self.log_scale.zero_()

    def turns(self, places: Places, layer: int) -> Tensor:
        """Row angles and column angles of each head, [H, T, 2, K/4]."""
        start = frequencies(self.per_axis, self.theta, self.owner, places.rows)
        return along_axes(places, (start * self.log_scale[layer].to(places.rows).exp())[:, None])
