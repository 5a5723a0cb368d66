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

    def num_draws(self, grid: Grid) -> int:
        """Count the uniform numbers that training needs for each picture of this grid."""
        return sum(item.num_draws(grid) for item in self.items)

    def __call__(
        self, grid: Grid, device: torch.device | str = "cpu", places_BN: Tensor | None = None
    ) -> Places:
        """Where the tokens of `grid` are.

        Args:
            grid: (h, w) in patches.
            device: where the result is wanted.
            places_BN: in training `num_draws(grid)` uniforms in (0, 1) a picture; None: nothing is augmented.
        """
        places, taken = Places(grid, *indices(grid, device)), 0
        for item in self.items:
            places, count = item.place(places), item.num_draws(grid)
            if places_BN is not None and count:
                draws_BN = places_BN[:, taken : taken + count].to(places.rows)
                places, taken = item.augment(places, draws_BN), taken + count
        got = 0 if places_BN is None else places_BN.shape[1]
        assert places_BN is None or got == taken, f"got {got} numbers a picture, expected {taken}"
        return Places(grid, places.rows, places.columns)

    def are_trained(self, grid: Grid, places_BN: Tensor | None) -> bool:
        """Whether these are the places of the trained grid without augmentation: tables are kept for them."""
        return grid == self.trained and (places_BN is None or self.num_draws(grid) == 0)
