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
