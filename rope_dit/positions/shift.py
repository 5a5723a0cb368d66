"""In training, all tokens of a picture move together."""

from torch import Tensor

from rope_dit.errors import check
from rope_dit.positions.base import Grid, Places, Position
from rope_dit.registry import POSITIONS


@POSITIONS.register("shift")
class Shift(Position):
    """In training, adds to each axis of a picture a uniform number within +-`amount` (DINOv3's code).

    The unit is that of the base's coordinates. One number an axis and picture, as `shift_coords` of
    `RopePositionEmbedding` in github.com/facebookresearch/dinov3, which draws one an axis and batch.

    Source: DINOv3's code, as above; one number a picture: this project.

    The ends of the range: half a patch up, and half a patch to the right.

    >>> import torch
    >>> places = Places((1, 1), torch.zeros(1), torch.zeros(1))
    >>> moved = Shift((1, 1)).augment(places, torch.tensor([[0.0, 1.0]]))
    >>> moved.rows.tolist(), moved.columns.tolist()
    ([[-0.5]], [[0.5]])
    """

    modifies = True
    stage = 40

    def __init__(self, trained: Grid, *, amount: float = 0.5):
        check(amount > 0, "shift: option 'amount'", amount, "a number above 0")
        super().__init__(trained)
        self.amount = amount

    def num_moves(self, grid: Grid) -> int:
        """One an axis."""
        return 2

    def augment(self, places: Places, moves_BN: Tensor) -> Places:
        """Add to rows and to columns."""
        moves_B2 = self.amount * (2 * moves_BN - 1)
        return Places(places.grid, places.rows + moves_B2[:, :1], places.columns + moves_B2[:, 1:])
