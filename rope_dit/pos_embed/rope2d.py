"""Axial rotary embedding over rows and columns."""

import math
from typing import Literal

from torch import Tensor

from rope_dit.pos_embed import ladders
from rope_dit.pos_embed.base import Geometry
from rope_dit.pos_embed.rotation import Rotary, along_axes
from rope_dit.pos_embed.rotation import frequencies as of_base
from rope_dit.positions.base import Places
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register(
    "rope2d",
    neutral={"pairing": "half", "fraction": 1.0, "frequencies": "theta", "min_period": 0.0, "max_period": 0.0,
             "truncate": False, "values": False},
)  # fmt: skip
class Rope2D(Rotary):
    """Axial 2-D RoPE: half of each head turns with the row, half with the column (arXiv:2403.13298, eq. 9).

    The angle of pair i (of n = K/4 an axis) is position * theta^(-i/n), in radians; base 100 is that paper's
    choice for images, 10000 is RoFormer's for text. `frequencies=kdiffusion` (pi to 10 pi, dealt out to the
    heads) and `dinov3` (2 pi * theta^(-i/n), or 2 pi / period from `min_period` to `max_period`) are meant
    for normalized positions. `truncate` sets frequencies to 0 whose period exceeds the trained grid (FoPE,
    arXiv:2412.17739). `pairing`, `fraction`, `values`: see `Turning`. Nothing is learned; no bias; nothing
    added. Buffers: cos_TK, sin_TK, float32.

    Source: Heo et al., RoPE-Axial, arXiv:2403.13298, eq. 9; RoFormer, arXiv:2104.09864.

    One pair an axis: at row 1 the first half turns by 1 radian.

    >>> pos = Rope2D(Geometry(4, 1, 4, 1, (2, 1)))
    >>> [f"{cosine:.4f}" for cosine in pos.cos_TK[1].tolist()]
    ['0.5403', '0.5403', '1.0000', '1.0000']
    """

    relative = True
    sees: tuple[str, ...] = ("row", "column")
    extrapolates = True
    axes = 2
    owner = "rope2d"

    def __init__(
        self,
        geometry: Geometry,
        *,
        theta: float = 100.0,
        pairing: Literal["half", "interleaved"] = "half",
        fraction: float = 1.0,
        frequencies: Literal["theta", "kdiffusion", "dinov3"] = "theta",
        min_period: float = 0.0,
        max_period: float = 0.0,
        truncate: bool = False,
        values: bool = False,
    ):
        ladders.check_periods(frequencies, theta, min_period, max_period, self.owner)
        self.theta, self.ladder, self.periods = theta, frequencies, (min_period, max_period)
        places = geometry.trained_places()
        self.reach = ladders.extents(places) if truncate else (math.inf, math.inf)
        super().__init__(geometry, pairing=pairing, fraction=fraction, values=values)
        if frequencies != "theta":
            ladders.refuse_positions_that_are_not_normalized(geometry, self.owner, frequencies)
            self.extrapolates = False
        if truncate:
            turning = self.omega(places.rows).amax((0, 1, 3))
            self.sees = tuple(a for a, most in zip(("row", "column"), turning, strict=True) if most > 0)
            self.symmetric = not self.sees

    def omega(self, like: Tensor) -> Tensor:
        """Frequencies [H or 1, 1, 2, pairs of an axis], radians a unit of position."""
        count, heads = self.per_axis, self.geometry.num_heads
        if self.ladder == "kdiffusion":
            ladder = ladders.kdiffusion(count, heads, like)[:, None, None]
        elif self.periods[1]:
            ladder = ladders.periods(count, *self.periods, like)[None, None, None]
        else:
            ladder = of_base(count, self.theta, self.owner, like)[None, None, None]
            ladder = 2 * math.pi * ladder if self.ladder == "dinov3" else ladder
        ladder = ladder.expand(-1, -1, 2, -1)
        return ladder if math.isinf(self.reach[0]) else ladders.truncated(ladder, self.reach)

    def turns(self, places: Places, layer: int = 0) -> Tensor:
        """Row angles and column angles, [H or 1, T, 2, K/4] or one of each picture."""
        return along_axes(places, self.omega(places.rows))
