"""What a positional embedding is: three hooks that do nothing by default, and claims that tests hold it to.

Shapes: B batch, T = h*w tokens in row-major order, D width, H heads, K head width. Positions are patch
indices (row 0..h-1, column 0..w-1); angles are radians.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

Grid = tuple[int, int]
Normal = Callable[[str, tuple[int, ...]], Tensor]


@dataclass(frozen=True)
class Geometry:
    """The model a positional embedding is built for; `grid` is (h, w) in patches at training time."""

    dim: int
    num_heads: int
    head_dim: int
    depth: int
    grid: Grid


@dataclass(frozen=True)
class Site:
    """Where a hook is called: the grid at call time, the block (0 for `add`) and the flow's time [B]."""

    grid: Grid
    layer: int
    t_B: Tensor


class PosEmbed(nn.Module):
    """Base of all variants: no position. Options are keyword-only arguments of `__init__`, with defaults.

    Claims are class attributes, tested on every registered variant. The logits they speak of are those
    between tokens of equal content:
    """

    relative: bool = False
    """the logits depend on the offset between two tokens only"""
    sees: tuple[str, ...] = ()
    """axes ('row', 'column') along which the logits change"""
    symmetric: bool = False
    """a step down and a step right give the same logits"""
    extrapolates: bool = False
    """on a larger grid, the tokens of the trained grid keep the logits that they had"""

    def __init__(self, geometry: Geometry):
        super().__init__()
        self.geometry = geometry

    def init_weights(self, normal: Normal) -> None:
        """Set all weights from `normal(name, shape)`: standard normals that depend on seed and name alone."""

    def add(self, site: Site, x_BTD: Tensor) -> Tensor:
        """Change the tokens after patchify."""
        return x_BTD

    def rotate(self, site: Site, q_BHTK: Tensor, k_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        """Change queries and keys inside attention."""
        return q_BHTK, k_BHTK

    def bias(self, site: Site, q_BHTK: Tensor, k_BHTK: Tensor) -> Tensor | None:
        """Return what is added to the attention logits, [B or 1, H, T, T], or None for nothing."""
        return None
