"""Heads that look in one direction each, and less the farther it is."""

import math
from typing import Literal

import torch
from torch import Tensor

from rope_dit.errors import check
from rope_dit.pos_embed.base import Geometry, PosEmbed, Site
from rope_dit.pos_embed.cones import MASKED, TURNS, eighth, sees
from rope_dit.pos_embed.offsets import offsets, summed
from rope_dit.positions.base import Places
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("lookhere")
class LookHere(PosEmbed):
    """Each head sees one cone of directions only, and less with distance (LookHere, arXiv:2405.13985).

    The logit of query i and key j gets -`slope` * l * m_h * distance(i, j) where j lies in the cone of head
    h, seen from i, or is i; elsewhere -10000, which leaves nothing. Cones are 90 or 45 degrees wide
    (`cone`), and four or eight of them cover the plane: each other token lies in exactly one, since a
    cone's first edge belongs to it and its second to the next. In the authors' code both edges do, and
    overlap.

    Heads take cones in turn: right, left, down, up; where a layer has fewer heads than there are cones, the
    next layer goes on. Of 90-degree cones each second round is turned by 45 degrees. m_h is 1/2 for the
    first that look somewhere, then 1/4 and so on; l falls from 3/2 at the first layer to 1/2 at the last.
    The last `undirected` heads see all, with m of 1/4, 1/16, 1/64 and 1/256 in equal shares. The authors'
    LH-90 has 4 of 12 undirected, and slope 2. Nothing is learned. Buffer: bias_LHTT [layers, heads, T, T],
    float32.

    Source: Fuller et al., arXiv:2405.13985; numbers as in github.com/GreenCUBIC/lookhere, as adapted in
    github.com/DTU-PAS/parabolic-position-encoding.

    >>> pos = LookHere(Geometry(32, 4, 8, 3, (2, 3)))
    >>> pos.bias_LHTT[0, 0, 0, 1:5].tolist()  # looks right: 2 * 3/2 * 1/2 for each step
    [-1.5, -3.0, -10000.0, -10000.0]
    """

    relative = True
    sees = ("row", "column")
    extrapolates = True
    bias_LHTT: Tensor

    def __init__(
        self,
        geometry: Geometry,
        *,
        cone: Literal["90", "45"] = "90",
        undirected: int = 0,
        slope: float = 2.0,
    ):
        heads = geometry.num_heads
        check(slope >= 0, "lookhere: option 'slope'", slope, "0 or more")
        expected = f"0 to {heads - 1}, fewer than the {heads} heads"
        check(0 <= undirected < heads, "lookhere: option 'undirected'", undirected, expected)
        super().__init__(geometry)
        self.turns, self.undirected, self.slope = TURNS[cone], undirected, slope
        layers = [self._bias(geometry.trained_places(), layer) for layer in range(geometry.depth)]
        self.register_buffer("bias_LHTT", torch.stack(layers).float(), persistent=False)

    def bias(self, site: Site, q_BHTK: Tensor, k_BHTK: Tensor) -> Tensor:
        """Look in the directions of the layer's heads."""
        bias = self.bias_LHTT[site.layer] if site.trained else self._bias(site, site.layer)
        return (bias if bias.dim() == 4 else bias[None]).to(q_BHTK.dtype)

    def _bias(self, places: Places, layer: int) -> Tensor:
        """[H, T, T], or [B, H, T, T], in the type of the places."""
        down, right = offsets(places)
        zeros = torch.zeros_like(down), torch.zeros_like(right)
        distance = summed(places, down**2, right**2).sqrt()
        at = eighth(summed(places, down, zeros[1]), summed(places, zeros[0], right))
        heads, depth = self.geometry.num_heads, self.geometry.depth
        directed = heads - self.undirected
        steep = self.slope * (1.5 - layer / max(1, depth - 1))
        found = []
        for head in range(directed):
            cone = self.turns[(head + layer * directed) % len(self.turns)]
            seen, share = sees(at, cone, head // len(self.turns), len(self.turns))
            found.append(torch.where(seen | (at < 0), -steep * share * distance, MASKED))
        for i in range(self.undirected):
            found.append(-steep * 4.0 ** -(1 + i // math.ceil(self.undirected / 4)) * distance)
        return torch.stack(found, dim=-3)
