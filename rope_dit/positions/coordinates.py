"""Where tokens are: the items of `model.positions`, one after another."""

import torch
from torch import Tensor

from rope_dit.positions.base import Grid, Places, Position, indices
from rope_dit.registry import POSITIONS


class Coordinates:
    """From a grid to places, as `spec` says (see `rope_dit.positions`).

    Args:
        spec: for example `index` or `normalized:by=max+shift`.
        trained: the grid at training time.

    Raises:
        UserError: an unknown name or option, a value out of range, or two bases.
    """

    def __init__(self, spec: str, trained: Grid):
        items: list[Position] = [
            POSITIONS.bind(part)(trained) for part in POSITIONS.canonical(spec).split("+")
        ]
        self.trained, self.items = trained, sorted(items, key=lambda item: item.stage)

    def num_moves(self, grid: Grid) -> int:
        """Count the uniform numbers that training needs for each picture of this grid."""
        return sum(item.num_moves(grid) for item in self.items)

    def __call__(
        self, grid: Grid, device: torch.device | str = "cpu", moves_BN: Tensor | None = None
    ) -> Places:
        """Where the tokens of `grid` are.

        Args:
            grid: (h, w) in patches.
            device: where the result is wanted.
            moves_BN: in training `num_moves(grid)` uniforms in (0, 1) a picture; None: nothing is augmented.
        """
        places, taken = Places(grid, *indices(grid, device)), 0
        for item in self.items:
            places = item.place(places)
            if moves_BN is not None and (count := item.num_moves(grid)):
                its_BN = moves_BN[:, taken : taken + count].to(places.rows)
                places, taken = item.augment(places, its_BN), taken + count
        if moves_BN is not None:
            assert moves_BN.shape[1] == taken, f"got {moves_BN.shape[1]} numbers a picture, expected {taken}"
        return Places(grid, places.rows, places.columns)

    @property
    def even_steps(self) -> bool:
        """Whether a step down and a step right are equally long, always."""
        return all(item.even_steps for item in self.items)

    def are_trained(self, grid: Grid, moves_BN: Tensor | None) -> bool:
        """Whether these are the places of the trained grid without augmentation: tables are kept for them."""
        return grid == self.trained and (moves_BN is None or self.num_moves(grid) == 0)
