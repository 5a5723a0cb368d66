"""Rotary embedding whose pairs turn with fixed directions in the plane."""

import math
from typing import Literal

import torch
from torch import Tensor

from rope_dit.errors import check
from rope_dit.pos_embed.base import Geometry
from rope_dit.pos_embed.rotation import Rotary, along_waves, frequencies
from rope_dit.positions.base import Places
from rope_dit.registry import POS_EMBEDS

GOLDEN = math.pi * (3 - math.sqrt(5)) / 2
"""half of the golden angle: directions count modulo half a turn"""


@POS_EMBEDS.register("rope2d_directions")
class Rope2DDirections(Rotary):
    """2-D RoPE along directions in the plane, evenly spread or by the golden angle, by exact projection.

    A pair of direction a turns by (row * cos a + column * sin a) * frequency, radians. `directions=m` gives
    angles pi * j/m, j = 0..m-1 (0 is down the rows, a quarter turn along the columns), with `spread=even`,
    and j times half the golden angle (68.75 degrees), modulo half a turn, with `golden`. Each direction owns
    P/m of the P = K/2 pairs: with `ladder=shared` all have theta^(-i m/P), i = 0..P/m - 1; with `disjoint`
    the frequencies theta^(-i/P) are dealt out in turn. Two even directions with shared frequencies are
    rope2d. Nothing is learned; no bias; nothing added. Buffers: cos_TK, sin_TK, float32.

    Source: even directions: Spiral RoPE, arXiv:2602.03227, by exact projection where its code resamples a
    map; golden angle: J. Xiong, jerryxio.ng/posts/nd-rope (golden gate RoPE).

    Four directions of one pair, of frequency 1: at row 1 they turn by the cosines of 0, 45, 90, 135 degrees.

    >>> pos = Rope2DDirections(Geometry(8, 1, 8, 1, (2, 1)), ladder="shared")
    >>> [round(angle, 4) + 0.0 for angle in pos.turns(pos.geometry.trained_places())[0, 1, :, 0].tolist()]
    [1.0, 0.7071, 0.0, -0.7071]
    """

    relative = True
    sees = ("row", "column")
    extrapolates = True
    owner = "rope2d_directions"

    def __init__(
        self,
        geometry: Geometry,
        *,
        theta: float = 100.0,
        directions: int = 4,
        spread: Literal["even", "golden"] = "even",
        ladder: Literal["disjoint", "shared"] = "disjoint",
        pairing: Literal["half", "interleaved"] = "half",
        fraction: float = 1.0,
        values: bool = False,
    ):
        check(directions > 1, f"{self.owner}: option 'directions'", directions, "2 or more")
        self.axes, self.theta, self.spread, self.ladder = directions, theta, spread, ladder
        super().__init__(geometry, pairing=pairing, fraction=fraction, values=values)

    def turns(self, places: Places, layer: int = 0) -> Tensor:
        """Angles [1, T, directions, pairs of a direction], or those of each picture."""
        each, like = self.per_axis, places.rows
        if self.ladder == "shared":
            size = frequencies(each, self.theta, self.owner, like).expand(self.axes, -1)
        else:
            size = frequencies(each * self.axes, self.theta, self.owner, like).view(each, self.axes).T
        step = GOLDEN if self.spread == "golden" else math.pi / self.axes
        angle = (torch.arange(self.axes, dtype=like.dtype, device=like.device) * step)[:, None] % math.pi
        row, column = ((size * part).flatten()[None, None] for part in (angle.cos(), angle.sin()))
        angles: Tensor = along_waves(places, row, column).unflatten(-1, (self.axes, -1))
        return angles
