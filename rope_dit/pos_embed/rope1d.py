"""Rotary embedding over the raster order of the tokens."""

from torch import Tensor

from rope_dit.errors import UserError
from rope_dit.pos_embed.base import Geometry
from rope_dit.pos_embed.rotation import Rotary, frequencies
from rope_dit.positions.base import Places
from rope_dit.positions.coordinates import Coordinates
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("rope1d")
class Rope1D(Rotary):
    """1-D RoPE over raster order (arXiv:2104.09864): pair i of K/2 turns by (row*w + column) * theta^(-2i/K).

    The default base is 100, so that rope1d and rope2d differ in one thing. Logits depend on the offset in
    raster order, so on the offset in rows and columns too; but a row's length enters it, so a grid of another
    width changes them. Nothing is learned; no bias; nothing added.
    """

    relative = True
    sees = ("row", "column")

    def __init__(self, geometry: Geometry, *, theta: float = 100.0):
        if geometry.head_dim % 2:
            raise UserError(
                f"rope1d needs an even head width (channels turn in pairs); got {geometry.head_dim} (dim "
                f"{geometry.dim} / {geometry.num_heads} heads). Change model.num-heads or model.dim."
            )
        if not Coordinates(geometry.positions, geometry.grid).even_steps:
            raise UserError(
                f"rope1d counts tokens in raster order: model.positions got '{geometry.positions}', expected "
                "positions whose steps are equally long on both axes, such as index."
            )
        self.theta = theta
        super().__init__(geometry)

    def angles_at(self, places: Places) -> list[Tensor]:
        """Raster angles, [T, K/2] or [B, T, K/2]."""
        omega = frequencies(self.geometry.head_dim // 2, self.theta, "rope1d", places.rows)
        return [(places.rows * places.grid[1] + places.columns)[..., None] * omega]
