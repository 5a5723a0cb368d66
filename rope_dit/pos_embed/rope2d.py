"""Axial rotary embedding over rows and columns."""

from torch import Tensor

from rope_dit.errors import UserError
from rope_dit.pos_embed.base import Geometry
from rope_dit.pos_embed.rotation import Rotary, frequencies
from rope_dit.positions.base import Places
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("rope2d")
class Rope2D(Rotary):
    """Axial 2-D RoPE: half of each head turns with the row, half with the column (arXiv:2403.13298, eq. 9).

    The angle of pair i (of K/4 an axis) is position * theta^(-4i/K), in radians; base 100 is that paper's
    choice for images, 10000 is RoFormer's for text (arXiv:2104.09864). Nothing is learned; no bias; nothing
    added.
    """

    relative = True
    sees = ("row", "column")
    extrapolates = True
    axes = 2

    def __init__(self, geometry: Geometry, *, theta: float = 100.0):
        if geometry.head_dim % 4:
            raise UserError(
                f"rope2d needs a head width divisible by 4 (two axes, in pairs); got {geometry.head_dim} "
                f"(dim {geometry.dim} / {geometry.num_heads} heads). Change model.num-heads or model.dim."
            )
        self.theta = theta
        super().__init__(geometry)

    def angles_at(self, places: Places) -> list[Tensor]:
        """Row angles and column angles, [T, K/4] each."""
        omega = frequencies(self.geometry.head_dim // 4, self.theta, "rope2d", places.rows)
        return [axis[..., None] * omega for axis in (places.rows, places.columns)]
