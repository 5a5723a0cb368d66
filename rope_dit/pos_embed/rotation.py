"""What rotary variants share: frequencies, angles of pairs of channels, and turning by them.

Three bases, from the most general on: `Rotating` (any rotation), `Turning` (pairs of channels turn by angles,
perhaps learned, of a head and a layer), `Rotary` (angles are fixed, so that tables are kept).
"""

from typing import Any, Literal

import torch
from torch import Tensor

from rope_dit.errors import UserError, check
from rope_dit.pos_embed.base import Geometry, Grid, PosEmbed, Site, stretch_of
from rope_dit.positions.base import Places
from rope_dit.positions.base import indices as positions
from rope_dit.registry import POSITIONS

__all__ = ["Rotary", "Rotating", "Turning", "along_axes", "along_waves", "frequencies", "positions", "turn"]

Pairing = Literal["half", "interleaved"]


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


def turn(x_BHTK: Tensor, cos_TR: Tensor, sin_TR: Tensor, axes: int, pairing: Pairing = "half") -> Tensor:
    """Rotate pairs of the first R channels; those behind them are left alone.

    half: an axis owns R/axes channels and pairs their first with their second half. interleaved: neighbours
    pair, those of the first axis first. sin_TR carries the sign: minus for the first channel of each pair,
    plus for the second. Tables broadcast to [B, H, T, R].

    >>> quarter_cos, quarter_sin = torch.zeros(1, 2), torch.tensor([[-1.0, 1.0]])
    >>> turn(torch.tensor([[1.0, 0.0, 5.0]]), quarter_cos, quarter_sin, 1).tolist()
    [[0.0, 1.0, 5.0]]
    """
    turned = cos_TR.shape[-1]
    x, rest = (x_BHTK, None) if turned == x_BHTK.shape[-1] else x_BHTK.tensor_split((turned,), dim=-1)
    if pairing == "half":
        partner: Tensor = x.unflatten(-1, (axes, 2, -1)).flip(-2).flatten(-3)
    else:
        partner = x.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
    out: Tensor = (x * cos_TR + partner * sin_TR).to(x_BHTK.dtype)
    return out if rest is None else torch.cat((out, rest), dim=-1)


def tables(angles: Tensor, pairing: Pairing) -> tuple[Tensor, Tensor]:
    """Cosines and signed sines for `turn`, float32 [..., T, R], of angles [..., T, axes, R / axes / 2]."""
    cos, sin = angles.cos(), angles.sin()
    at = -2 if pairing == "half" else -1
    return tuple(torch.stack(two, dim=at).flatten(-3).float() for two in ((cos, cos), (-sin, sin)))  # type: ignore[return-value]


def along_axes(places: Places, omega: Tensor) -> Tensor:
    """Angles [H, T, 2, n] of rows times omega[:, :, 0] and columns times omega[:, :, 1], radians.

    omega is [H or 1, 1, 2, n]. Where pictures have places, or frequencies, of their own: [B, H, T, 2, n].
    """
    if (stretch := stretch_of(places)) is not None:
        parts = [omega[..., axis, :] * stretch.factor(axis, omega[..., axis, :]) for axis in (0, 1)]
        omega = torch.stack(parts, dim=-2)
    at = torch.stack((places.rows, places.columns), dim=-1)
    return at[..., None, :, :, None] * omega


def along_waves(places: Places, row: Tensor, column: Tensor) -> Tensor:
    """Angles [H, T, P] of row * rows + column * columns, radians; both are [H or 1, 1, P].

    Where pictures have places, or frequencies, of their own: [B, H, T, P].
    """
    if (stretch := stretch_of(places)) is not None:
        size = torch.hypot(row, column)
        row, column = row * stretch.factor(0, size), column * stretch.factor(1, size)
    return places.rows[..., None, :, None] * row + places.columns[..., None, :, None] * column


class Rotating(PosEmbed):
    """Base of all rotary variants: queries and keys of a token are turned by a rotation that it owns.

    A subclass says what turns (`operator`) and how (`turned`). With `values`, values are turned too and their
    weighted sums are turned back (RoVE, arXiv:2606.11275), so that they see offsets as the logits do.
    """

    owner = "a rotary variant"
    """the name in messages"""
    values: bool = False

    def operator(self, site: Site) -> Any:
        """Return what `turned` takes, for the tokens and the layer of a site."""
        raise NotImplementedError(f"{type(self).__name__} must say what turns")

    def turned(self, operator: Any, x_BHTK: Tensor, back: bool = False) -> Tensor:
        """Turn x, or turn it back."""
        raise NotImplementedError(f"{type(self).__name__} must say how it turns")

    def _kept(self, site: Site) -> Any:
        """What turns, made once a layer where values turn too."""
        if not self.values:
            return self.operator(site)
        if "operator" not in site.kept:
            site.kept["operator"] = self.operator(site)
        return site.kept["operator"]

    def rotate(self, site: Site, q_BHTK: Tensor, k_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        """Turn queries and keys by the same rotation, together: on a GPU the number of kernels counts."""
        q, k = self.turned(self._kept(site), torch.stack((q_BHTK, k_BHTK))).unbind(0)
        return q, k

    def value(self, site: Site, v_BHTK: Tensor) -> Tensor:
        """Turn values as queries and keys, with `values`."""
        return self.turned(self._kept(site), v_BHTK) if self.values else v_BHTK

    def output(self, site: Site, out_BHTK: Tensor) -> Tensor:
        """Turn the sums back by what the token itself turned; without this they would know where it is."""
        return self.turned(self._kept(site), out_BHTK, back=True) if self.values else out_BHTK


class Turning(Rotating):
    """Base of variants in which pairs of channels turn: a subclass says the angle of each pair.

    Args:
        geometry: of the model.
        pairing: which channels pair, as `turn` says. Both are one variant up to the order of channels.
        fraction: share of the head's channels that turn, in (0, 1]; the others are left alone.
        values: as `Rotating` says.
    """

    axes = 1
    """groups of pairs: channels of a group are neighbours"""
    extrapolates_frequencies = True
    keeps_norms: bool = True
    """nothing but the turning is done to queries and keys"""

    def __init__(
        self, geometry: Geometry, *, pairing: Pairing = "half", fraction: float = 1.0, values: bool = False
    ):
        super().__init__(geometry)
        self.pairing, self.fraction, self.values = pairing, fraction, values
        width, step = geometry.head_dim, 2 * self.axes
        turned = round(fraction * width)
        if fraction == 1 and width % step:
            raise UserError(
                f"{self.owner} needs a head width divisible by {step} (channels turn in pairs); got {width} "
                f"(dim {geometry.dim} / {geometry.num_heads} heads). Change model.num-heads or model.dim."
            )
        fits = 0 < turned <= width and turned % step == 0 and abs(fraction * width - turned) < 1e-3
        check(fits, f"{self.owner}: option 'fraction'", fraction,
              f"a multiple of {step} channels of {width}, such as {step / width:g}")  # fmt: skip
        self.per_axis = turned // step
        """pairs of an axis"""

    def turns(self, places: Places, layer: int) -> Tensor:
        """Return the angles of all pairs, radians, [B or 1, H or 1, T, axes, pairs of an axis] or less.

        In the type and on the device of `places.rows`, so that angles are not rounded before their cosines.
        """
        raise NotImplementedError(f"{type(self).__name__} must say its angles")

    def operator(self, site: Site) -> tuple[Tensor, Tensor]:
        """Cosines and sines, float32 [B, H, T, R] or less."""
        return tables(self.turns(site, site.layer), self.pairing)

    def turned(self, operator: tuple[Tensor, Tensor], x_BHTK: Tensor, back: bool = False) -> Tensor:
        """Turn each pair by its angle, or by minus its angle."""
        cos, sin = operator
        return turn(x_BHTK, cos, -sin if back else sin, self.axes, self.pairing)


class Rotary(Turning):
    """Base of rotary variants with fixed angles.

    Buffers: cos_TK, sin_TK (signed), float32, for the trained places; those of others are made when met.
    """

    cos_TK: Tensor
    sin_TK: Tensor

    def __init__(
        self, geometry: Geometry, *, pairing: Pairing = "half", fraction: float = 1.0, values: bool = False
    ):
        super().__init__(geometry, pairing=pairing, fraction=fraction, values=values)
        kind = type(self)
        says = kind.angles_at is not Rotary.angles_at or kind.turns is not Rotary.turns
        if not says and POSITIONS.canonical(geometry.positions) != "index":
            raise UserError(f"{kind.__name__} knows indices only: it must say `angles_at(places)` "
                            f"for model.positions {geometry.positions}.")  # fmt: skip
        for name, table in zip(("cos_TK", "sin_TK"), self.tables_at(geometry.trained_places()), strict=True):
            kept = table[0] if table.dim() == 3 and len(table) == 1 else table
            self.register_buffer(name, kept, persistent=False)

    def angles_at(self, places: Places) -> list[Tensor]:
        """Return for each axis the angles of its pairs, in radians: [T, K / axes / 2], or [B, T, ...].

        In the type and on the device of `places.rows`. The simplest way to say angles; `turns` says more.
        """
        return [angle.to(places.rows) for angle in self.angles(places.grid)]

    def angles(self, grid: Grid) -> list[Tensor]:
        """As `angles_at`, on the CPU, for variants that were written when tokens had indices only."""
        raise NotImplementedError(f"{type(self).__name__} must say its angles")

    def turns(self, places: Places, layer: int = 0) -> Tensor:
        """Angles as `angles_at` says them, of all heads and layers alike."""
        return torch.stack(self.angles_at(places), dim=-2).unsqueeze(-4)

    def tables_at(self, places: Places) -> tuple[Tensor, Tensor]:
        """Cosines and sines of places without tables."""
        return tables(self.turns(places, 0), self.pairing)

    def operator(self, site: Site) -> tuple[Tensor, Tensor]:
        """Cosines and sines that are kept, or those of other places."""
        return (self.cos_TK, self.sin_TK) if site.trained else self.tables_at(site)
