"""What the fixed rotary variants share: positions, frequencies, and turning queries and keys by angles."""

import torch
from torch import Tensor

from rope_dit.errors import UserError
from rope_dit.pos_embed.base import Geometry, Grid, PosEmbed, Site


def positions(grid: Grid) -> tuple[Tensor, Tensor]:
    """Row and column of each token in row-major order, float64 [T] each, on the CPU.

    >>> [axis.tolist() for axis in positions((2, 3))]
    [[0.0, 0.0, 0.0, 1.0, 1.0, 1.0], [0.0, 1.0, 2.0, 0.0, 1.0, 2.0]]
    """
    rows, columns = (torch.arange(n, dtype=torch.float64, device="cpu") for n in grid)
    return rows.repeat_interleave(grid[1]), columns.repeat(grid[0])


def frequencies(count: int, theta: float, owner: str) -> Tensor:
    """theta^(-i/count) for i = 0..count-1, float64, radians a patch (arXiv:2104.09864, section 3.2.2).

    >>> frequencies(2, 100.0, "doctest").tolist()
    [1.0, 0.1]
    """
    if theta <= 0:
        raise UserError(f"{owner}: option 'theta' got {theta:g}, expected a number above 0.")
    return torch.tensor([theta ** (-i / count) for i in range(count)], dtype=torch.float64, device="cpu")


def turn(x_BHTK: Tensor, cos_TK: Tensor, sin_TK: Tensor, axes: int) -> Tensor:
    """Rotate pairs of channels; an axis owns K/axes channels and pairs their first with their second half.

    sin_TK carries the sign: minus for the first channel of each pair, plus for the second.
    """
    partner: Tensor = x_BHTK.unflatten(-1, (axes, 2, -1)).flip(-2).flatten(-3)
    return (x_BHTK * cos_TK + partner * sin_TK).to(x_BHTK.dtype)


class Rotary(PosEmbed):
    """Base of rotary variants with fixed angles: a subclass says the angle of each pair of channels.

    Buffers: cos_TK, sin_TK (signed), float32, for the trained grid; another grid's are made when it is met.
    """

    axes = 1
    cos_TK: Tensor
    sin_TK: Tensor

    def __init__(self, geometry: Geometry):
        super().__init__(geometry)
        cos_TK, sin_TK = self._tables(geometry.grid)
        self.register_buffer("cos_TK", cos_TK, persistent=False)
        self.register_buffer("sin_TK", sin_TK, persistent=False)

    def angles(self, grid: Grid) -> list[Tensor]:
        """Return for each axis the angles [T, K / axes / 2] of its pairs, float64, in radians."""
        raise NotImplementedError(f"{type(self).__name__} must say its angles")

    def rotate(self, site: Site, q_BHTK: Tensor, k_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        """Turn queries and keys by the same angles, so that their product depends on the offset alone."""
        cos_TK, sin_TK = self.cos_TK, self.sin_TK
        if site.grid != self.geometry.grid:
            cos_TK, sin_TK = (table.to(q_BHTK.device) for table in self._tables(site.grid))
        return turn(q_BHTK, cos_TK, sin_TK, self.axes), turn(k_BHTK, cos_TK, sin_TK, self.axes)

    def _tables(self, grid: Grid) -> tuple[Tensor, Tensor]:
        angles = self.angles(grid)
        cos_TK = torch.cat([half for a in angles for half in (a.cos(), a.cos())], dim=1)
        sin_TK = torch.cat([half for a in angles for half in (-a.sin(), a.sin())], dim=1)
        return cos_TK.float(), sin_TK.float()
