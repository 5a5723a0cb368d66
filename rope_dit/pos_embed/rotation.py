"""What the fixed rotary variants share: frequencies, and turning queries and keys by angles."""

import torch
from torch import Tensor

from rope_dit.errors import UserError
from rope_dit.pos_embed.base import Geometry, Grid, PosEmbed, Site
from rope_dit.positions.base import Places
from rope_dit.positions.base import indices as positions
from rope_dit.registry import POSITIONS

__all__ = ["Rotary", "frequencies", "positions", "turn"]


def frequencies(count: int, theta: float, owner: str, like: Tensor | None = None) -> Tensor:
    """theta^(-i/count) for i = 0..count-1, radians a patch (arXiv:2104.09864, section 3.2.2).

    In the type and on the device of `like`; without it float64 on the CPU.

    >>> frequencies(2, 100.0, "doctest").tolist()
    [1.0, 0.1]
    """
    if theta <= 0:
        raise UserError(f"{owner}: option 'theta' got {theta:g}, expected a number above 0.")
    if like is None or like.device.type == "cpu":
        return torch.tensor([theta ** (-i / count) for i in range(count)], dtype=torch.float64, device="cpu")
    # a list would be copied from the host at each call, which makes it wait
    powers: Tensor = theta ** (-torch.arange(count, dtype=like.dtype, device=like.device) / count)
    return powers


def turn(x_BHTK: Tensor, cos_TK: Tensor, sin_TK: Tensor, axes: int) -> Tensor:
    """Rotate pairs of channels; an axis owns K/axes channels and pairs their first with their second half.

    sin_TK carries the sign: minus for the first channel of each pair, plus for the second. Where pictures
    have tables of their own, these are [B, 1, T, K].
    """
    partner: Tensor = x_BHTK.unflatten(-1, (axes, 2, -1)).flip(-2).flatten(-3)
    return (x_BHTK * cos_TK + partner * sin_TK).to(x_BHTK.dtype)


class Rotary(PosEmbed):
    """Base of rotary variants with fixed angles: a subclass says the angle of each pair of channels.

    Buffers: cos_TK, sin_TK (signed), float32, for the trained places; those of others are made when met.
    """

    axes = 1
    cos_TK: Tensor
    sin_TK: Tensor

    def __init__(self, geometry: Geometry):
        super().__init__(geometry)
        if type(self).angles_at is Rotary.angles_at and POSITIONS.canonical(geometry.positions) != "index":
            raise UserError(f"{type(self).__name__} knows indices only: it must say `angles_at(places)` "
                            f"for model.positions {geometry.positions}.")  # fmt: skip
        cos_TK, sin_TK = self._tables(geometry.trained_places())
        self.register_buffer("cos_TK", cos_TK, persistent=False)
        self.register_buffer("sin_TK", sin_TK, persistent=False)

    def angles_at(self, places: Places) -> list[Tensor]:
        """Return for each axis the angles of its pairs, in radians: [T, K / axes / 2], or [B, T, ...].

        In the type and on the device of `places.rows`.
        """
        return [angle.to(places.rows) for angle in self.angles(places.grid)]

    def angles(self, grid: Grid) -> list[Tensor]:
        """As `angles_at`, on the CPU, for variants that were written when tokens had indices only."""
        raise NotImplementedError(f"{type(self).__name__} must say its angles")

    def rotate(self, site: Site, q_BHTK: Tensor, k_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        """Turn queries and keys by the same angles, so that their product depends on the offset alone."""
        cos, sin = self.cos_TK, self.sin_TK
        if not site.trained:
            cos, sin = (table.unsqueeze(-3) for table in self._tables(site))
        return turn(q_BHTK, cos, sin, self.axes), turn(k_BHTK, cos, sin, self.axes)

    def _tables(self, places: Places) -> tuple[Tensor, Tensor]:
        angles = self.angles_at(places)
        cos = torch.cat([half for a in angles for half in (a.cos(), a.cos())], dim=-1)
        sin = torch.cat([half for a in angles for half in (-a.sin(), a.sin())], dim=-1)
        return cos.float(), sin.float()
