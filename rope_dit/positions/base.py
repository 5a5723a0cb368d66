"""What says where tokens are: a base class of two hooks, and the places that it is given and returns.

Shapes: B batch, T = h*w tokens in row-major order, N uniform numbers a picture.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

Grid = tuple[int, int]


@dataclass(frozen=True)
class Places:
    """Where the tokens of a grid (h, w) are: rows and columns, float64 [T] or [B, T]; on MPS float32."""

    grid: Grid
    rows: Tensor
    columns: Tensor


class Position:
    """Base of all items of `model.positions`; options are keyword-only arguments of `__init__` with defaults.

    Items act in the order of their claim `stage`. Before 20 they move indices (row 0..h-1, column 0..w-1).
    The one at 20 is the base, the only one that does not claim `modifies`: it makes coordinates of indices.
    Those above move coordinates. Rows must stay functions of a token's row, columns of its column.
    """

    modifies: bool = False
    """moves tokens beside the one base that a spec has, `index` where it names none"""
    stage: int
    """when it acts; a literal in each class, because it is read from the file"""
    even_steps: bool = True
    """a step down and a step right, to the next token, are equally long where they were before"""

    def __init__(self, trained: Grid):
        self.trained = trained
        """the grid at training time"""

    def num_moves(self, grid: Grid) -> int:
        """Count the uniform numbers that `augment` takes for each picture; 0: it is not called."""
        return 0

    def place(self, places: Places) -> Places:
        """Move the tokens, in training and in evaluation alike.

        An item that changes `places.grid` changes the one that later items go by, and nothing else.
        """
        return places

    def augment(self, places: Places, moves_BN: Tensor) -> Places:
        """Move the tokens in training, after `place`; moves_BN are uniform in (0, 1), of the places' type."""
        return places


def indices(grid: Grid, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Row and column of each token in row-major order, float64 [T] each; float32 on MPS, which has no other.

    >>> [axis.tolist() for axis in indices((2, 3))]
    [[0.0, 0.0, 0.0, 1.0, 1.0, 1.0], [0.0, 1.0, 2.0, 0.0, 1.0, 2.0]]
    """
    kind = torch.float32 if torch.device(device).type == "mps" else torch.float64
    rows, columns = (torch.arange(n, dtype=kind, device=device) for n in grid)
    return rows[:, None].expand(grid).flatten(), columns.expand(grid).flatten()


def log_uniform(draws: Tensor, most: float) -> Tensor:
    """Factors in (1 / most, most), uniform in their logarithm, from uniforms."""
    return most ** (2 * draws - 1)
