"""What a positional embedding is: hooks that do nothing by default, and claims that tests hold it to.

Shapes: B batch, T tokens in row-major order, D width, H heads, K head width. Positions are coordinates as
`model.positions` says, patch indices unless it says otherwise; angles are radians.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from rope_dit.extrapolations.base import Axis, Fade, Stretch
from rope_dit.positions.base import Grid as Grid
from rope_dit.positions.base import Places
from rope_dit.positions.coordinates import Coordinates

Normal = Callable[[str, tuple[int, ...]], Tensor]


@dataclass(frozen=True)
class Geometry:
    """The model a positional embedding is built for; `grid` is (h, w) in patches at training time.

    `positions` is the model's setting of that name: it shapes the tables that a variant keeps.
    """

    dim: int
    num_heads: int
    head_dim: int
    depth: int
    grid: Grid
    positions: str = "index"

    def trained_places(self) -> Places:
        """Where tokens are at training time without augmentation, on the CPU: for tables that are kept."""
        return Coordinates(self.positions, self.grid)(self.grid)


@dataclass(frozen=True)
class Site(Places):
    """Where a hook is called: grid, rows and columns of the tokens, and the following.

    `rows` and `columns` are [B, T] where each picture has its own. There may be fewer tokens than the grid
    has places: T is that of `rows`.
    """

    layer: int
    """the block, from 0"""
    t_B: Tensor
    """the flow's time, [B]"""
    tokens_BTD: Tensor
    """the tokens that enter the block: for `add` before it, for other hooks after it"""
    trained: bool
    """these are the places of `Geometry.trained_places`, for which a variant may keep tables"""
    stretch: Stretch | None = None
    """how frequencies change on a grid that is larger than the trained one; None: not at all"""
    kept: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """what the one rotary variant keeps from one hook for the next at this layer"""


class PosEmbed(nn.Module):
    """Base of all variants: no position. Options are keyword-only arguments of `__init__`, with defaults.

    Hooks see the tokens of patches only, never registers. Claims are class attributes, or attributes that
    `__init__` sets where options decide. They are tested on every registered variant. The logits they speak
    of are those between tokens of equal content, at indices:
    """

    relative: bool = False
    """the logits depend on the offset between two tokens only"""
    sees: tuple[str, ...] = ()
    """axes ('row', 'column') along which the logits change"""
    symmetric: bool = False
    """a step down and a step right give the same logits"""
    extrapolates: bool = False
    """on a larger grid, the tokens of the trained grid keep the logits that they had"""
    depends_on_t: bool = False
    """the flow's time changes the logits, the tokens or the values"""
    uses_coordinates: bool = True
    """`model.positions` changes logits, tokens or values; else it is no part of a run's identity"""
    rotates: bool = True
    """`rotate`, where there is one, turns queries and keys: only one part of a composite may"""
    needs_grid: bool = False
    """logits need the whole grid; otherwise some of its tokens with their coordinates have the same ones"""
    numbers_tokens: bool = False
    """places count as one number a token, in raster order or another: an extrapolation squeezes that line"""
    squeezes_alike: bool = True
    """no part numbers tokens while another goes by rows and columns"""
    extrapolates_frequencies: bool = False
    """turns with frequencies that an extrapolation may change: `rotate` goes by `site.stretch`"""

    def __init__(self, geometry: Geometry):
        super().__init__()
        self.geometry = geometry

    def squeezed(self, stretch: Stretch, places: Places) -> tuple[Tensor, Tensor]:
        """Rows and columns of a larger grid as an extrapolation squeezes them, [T] or [B, T]."""
        axes: tuple[Axis, Axis] = (None, None) if self.numbers_tokens else (0, 1)
        rows, columns = (stretch.squeeze(axis) for axis in axes)
        return places.rows * of_pictures(rows, places), places.columns * of_pictures(columns, places)

    def init_weights(self, normal: Normal) -> None:
        """Set all weights from `normal(name, shape)`: standard normals that depend on seed and name alone."""

    def add(self, site: Site, x_BTD: Tensor) -> Tensor:
        """Change the tokens before each block; absolute variants do so where `site.layer` is 0."""
        return x_BTD

    def rotate(self, site: Site, q_BHTK: Tensor, k_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        """Change queries and keys inside attention.

        Both may come back wider: the softmax's scale stays that of the head, and registers have zeros there.
        """
        return q_BHTK, k_BHTK

    def bias(self, site: Site, q_BHTK: Tensor, k_BHTK: Tensor) -> Tensor | None:
        """Return what is added to the attention logits, [B or 1, H, T, T], or None for nothing.

        Queries and keys come as they are before `rotate`.
        """
        return None

    def value(self, site: Site, v_BHTK: Tensor) -> Tensor:
        """Change the values before they are summed."""
        return v_BHTK

    def output(self, site: Site, out_BHTK: Tensor) -> Tensor:
        """Change the weighted sums of the values, which are the head's width again when they come back."""
        return out_BHTK


def exactly(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Compute in the types that are given, also under autocast, which the device meta does not know."""
    return contextlib.nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def of_pictures(factor: Fade, places: Places) -> Fade:
    """[B, 1, 1, 1] to [B, 1], in the type of the places."""
    return factor.to(places.rows).view(-1, 1) if isinstance(factor, Tensor) else factor


def stretch_of(places: Places) -> Stretch | None:
    """What is done about a larger grid where a hook is called; places that are no site know of none."""
    return places.stretch if isinstance(places, Site) else None
