"""Rotary embedding whose pairs turn with learned directions in the plane."""

from typing import Literal

import torch
from torch import Tensor, nn

from rope_dit.pos_embed.base import Geometry, Normal
from rope_dit.pos_embed.rotation import Turning, along_waves, frequencies
from rope_dit.positions.base import Places
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("rope2d_mixed")
class Rope2DMixed(Turning):
    """RoPE-Mixed: each pair of each layer and head turns with a learned direction (arXiv:2403.13298, eq. 10).

    The angle of a pair is row * u + column * v, radians. Learned: u and v, weight waves [depth, H, 2, K/2],
    u before v. They start as axial RoPE of base `theta` whose axes are rotated by an angle a of each layer
    and head, uniform on the circle (as the paper's code does, which draws it for each): the first K/4 pairs
    at theta^(-4i/K) * (cos a, sin a), the others at theta^(-4i/K) * (-sin a, cos a). So step 0 is rope2d of
    that base in rotated coordinates; at a = 0 it is rope2d. Weights get no weight decay, as theirs. No bias;
    nothing added.

    Source: Heo et al., RoPE-Mixed, arXiv:2403.13298, eq. 10.

    >>> pos = Rope2DMixed(Geometry(4, 1, 4, 1, (3, 4)))
    >>> with torch.no_grad():
    ...     weight = pos.waves.copy_(torch.tensor([[[[0.5, 1.0], [0.25, 0.0]]]]))
    ...     angles = pos.turns(pos.geometry.trained_places(), 0)
    >>> angles[0, -1, :, 0].tolist()  # row 2 and column 3: 2 * 0.5 + 3 * 0.25 and 2 * 1
    [1.75, 2.0]
    """

    relative = True
    sees = ("row", "column")
    extrapolates = True
    axes = 2
    owner = "rope2d_mixed"

    def __init__(
        self,
        geometry: Geometry,
        *,
        theta: float = 10.0,
        pairing: Literal["half", "interleaved"] = "half",
        fraction: float = 1.0,
        values: bool = False,
    ):
        super().__init__(geometry, pairing=pairing, fraction=fraction, values=values)
        frequencies(1, theta, self.owner)  # which refuses a base that is none
        self.theta = theta
        self.waves = nn.Parameter(torch.empty(geometry.depth, geometry.num_heads, 2, 2 * self.per_axis))

    def init_weights(self, normal: Normal) -> None:
        """Draw a direction for each layer and head: that of a normal point in the plane is uniform."""
        drawn_LH2 = normal("waves", (self.geometry.depth, self.geometry.num_heads, 2))
        self.waves.copy_(self.rotated(drawn_LH2 / drawn_LH2.norm(dim=-1, keepdim=True)))

    def rotated(self, direction_LH2: Tensor) -> Tensor:
        """Waves [depth, H, 2, K/2] of axial RoPE whose rows go in these directions (cosine, sine)."""
        size = frequencies(self.per_axis, self.theta, self.owner).to(direction_LH2)
        cos, sin = (size * part[..., None] for part in direction_LH2.unbind(-1))
        return torch.stack((torch.cat((cos, -sin), -1), torch.cat((sin, cos), -1)), dim=-2)

    def turns(self, places: Places, layer: int) -> Tensor:
        """Angles of each head, [H, T, 2, K/4]."""
        row, column = self.waves[layer].to(places.rows).unsqueeze(-2).unbind(1)
        angles: Tensor = along_waves(places, row, column).unflatten(-1, (2, -1))
        return angles
