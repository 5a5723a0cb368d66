"""Rotary embedding over an order of the tokens."""

from typing import Literal

import torch
from torch import Tensor

from rope_dit.errors import UserError
from rope_dit.pos_embed.base import Geometry, Grid, of_pictures, stretch_of
from rope_dit.pos_embed.hilbert import hilbert_path
from rope_dit.pos_embed.rotation import Rotary, frequencies
from rope_dit.positions.base import Places
from rope_dit.positions.coordinates import Coordinates
from rope_dit.registry import POS_EMBEDS, POSITIONS


@POS_EMBEDS.register(
    "rope1d", neutral={"order": "raster", "pairing": "half", "fraction": 1.0, "values": False}
)
class Rope1D(Rotary):
    """1-D RoPE over the order of the tokens (arXiv:2104.09864): pair i of K/2 turns by n * theta^(-2i/K).

    n is a token's number: row*w + column with `order=raster`, column*h + row with `column`, and its number
    along the generalised Hilbert curve (see hilbert.py), for any grid, with `hilbert`. The default base is
    100, so that rope1d and rope2d differ in one thing. Logits depend on the offset in n: with raster and
    column on the offset in rows and columns too, with hilbert not. The grid's side enters n, so a grid of
    another width changes them. `pairing`, `fraction`, `values`: see `Turning`. Nothing is learned; no bias;
    nothing added. Buffers: cos_TK, sin_TK, float32.

    Source: RoFormer, arXiv:2104.09864, section 3.2.2.

    Three columns: the first token of the second row is number 3, and with one pair turns by 3 radians.

    >>> pos = Rope1D(Geometry(2, 1, 2, 1, (2, 3)))
    >>> pos.turns(pos.geometry.trained_places())[0, 3].tolist()
    [[3.0]]
    """

    relative = True
    sees = ("row", "column")
    numbers_tokens = True
    owner = "rope1d"

    def __init__(
        self,
        geometry: Geometry,
        *,
        theta: float = 100.0,
        order: Literal["raster", "column", "hilbert"] = "raster",
        pairing: Literal["half", "interleaved"] = "half",
        fraction: float = 1.0,
        values: bool = False,
    ):
        if geometry.head_dim % 2 and fraction == 1:
            raise UserError(
                f"rope1d needs an even head width (channels turn in pairs); got {geometry.head_dim} (dim "
                f"{geometry.dim} / {geometry.num_heads} heads). Change model.num-heads or model.dim."
            )
        if order == "hilbert" and POSITIONS.canonical(geometry.positions) != "index":
            raise UserError(
                f"rope1d: order=hilbert counts places: model.positions got '{geometry.positions}', expected "
                "index. Set it, or another order."
            )
        if not Coordinates(geometry.positions, geometry.grid).even_steps:
            raise UserError(
                f"rope1d counts tokens in raster order: model.positions got '{geometry.positions}', expected "
                "positions whose steps are equally long on both axes, such as index."
            )
        self.theta, self.order = theta, order
        super().__init__(geometry, pairing=pairing, fraction=fraction, values=values)
        if order == "hilbert":
            self.relative = min(geometry.grid) == 1  # where it is the raster

    def turns(self, places: Places, layer: int = 0) -> Tensor:
        """Angles by a token's number, [1, T, 1, K/2] or one of each picture."""
        omega = frequencies(self.per_axis, self.theta, "rope1d", places.rows)
        if (stretch := stretch_of(places)) is not None:
            omega = omega * stretch.factor(None, omega)
        return self.number(places)[..., None, :, None, None] * omega[..., None, :]

    def number(self, places: Places) -> Tensor:
        """Each token's number, [T] or [B, T]."""
        height, width = places.grid
        if self.order == "hilbert":
            stretch, raster = stretch_of(places), places.rows * width + places.columns
            squeeze = 1.0 if stretch is None else of_pictures(stretch.squeeze(None), places)
            numbers = _along_hilbert(places.grid).to(places.rows.device)
            return numbers[(raster / squeeze).round().long()] * squeeze
        if self.order == "column":
            return places.columns * height + places.rows
        return places.rows * width + places.columns


def _along_hilbert(grid: Grid) -> Tensor:
    """Number of each place, in row-major order, along the curve: int64 [h * w] on the CPU."""
    numbers = torch.empty(grid[0] * grid[1], dtype=torch.int64, device="cpu")
    path = torch.tensor(hilbert_path(grid), dtype=torch.int64, device="cpu")
    numbers[path[:, 0] * grid[1] + path[:, 1]] = torch.arange(len(path), device="cpu")
    return numbers
