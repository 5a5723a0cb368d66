"""In training, both axes of a picture are stretched together."""

from torch import Tensor

from rope_dit.errors import check
from rope_dit.positions.base import Grid, Places, Position, log_uniform
from rope_dit.registry import POSITIONS


@POSITIONS.register("rescale")
class Rescale(Position):
    """In training, multiplies both axes of a picture by one factor, log-uniform in 1/`most`..`most`.

    Around coordinate 0. One factor a picture, as `rescale_coords` of `RopePositionEmbedding` in
    github.com/facebookresearch/dinov3, which draws one a batch; the default is that of its released models.

    Source: DINOv3's code, as above; one factor a picture: this project.

    The ends of the range: half and twice as far, on both axes.

    >>> import torch
    >>> places = Places((1, 1), torch.ones(1), torch.full((1,), 3.0))
    >>> moved = Rescale((1, 1), most=2.0).augment(places, torch.tensor([[0.0], [1.0]]))
    >>> moved.rows.tolist(), moved.columns.tolist()
    ([[0.5], [2.0]], [[1.5], [6.0]])
    """

    modifies = True
    stage = 60

    def __init__(self, trained: Grid, *, most: float = 2.0):
        check(most > 1, "rescale: option 'most'", most, "a number above 1")
        super().__init__(trained)
        self.most = most

    def num_moves(self, grid: Grid) -> int:
        """One for both axes."""
        return 1

    def augment(self, places: Places, moves_BN: Tensor) -> Places:
        """Multiply rows and columns."""
        by_B1 = log_uniform(moves_BN, self.most)
        return Places(places.grid, places.rows * by_B1, places.columns * by_B1)
