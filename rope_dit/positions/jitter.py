"""In training, each axis of a picture is stretched by itself."""

from torch import Tensor

from rope_dit.errors import check
from rope_dit.positions.base import Grid, Places, Position, log_uniform
from rope_dit.registry import POSITIONS


@POSITIONS.register("jitter")
class Jitter(Position):
    """In training, multiplies each axis of a picture by a factor of its own, log-uniform in 1/`most`..`most`.

    Around coordinate 0. One factor an axis and picture, as `jitter_coords` of `RopePositionEmbedding` in
    github.com/facebookresearch/dinov3, which draws one an axis and batch.

    Source: DINOv3's code, as above; one factor a picture: this project.

    The ends and the middle of the range: factors 1/2, 1 and 2.

    >>> import torch
    >>> places, draws = Places((1, 1), torch.ones(1), torch.ones(1)), torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    >>> moved = Jitter((1, 1), most=2.0).augment(places, draws)
    >>> moved.rows.tolist(), moved.columns.tolist()
    ([[0.5], [1.0]], [[2.0], [1.0]])
    """

    modifies = True
    stage = 50
    even_steps = False

    def __init__(self, trained: Grid, *, most: float = 1.25):
        check(most > 1, "jitter: option 'most'", most, "a number above 1")
        super().__init__(trained)
        self.most = most

    def num_moves(self, grid: Grid) -> int:
        """One an axis."""
        return 2

    def augment(self, places: Places, moves_BN: Tensor) -> Places:
        """Multiply rows and columns."""
        by_B2 = log_uniform(moves_BN, self.most)
        return Places(places.grid, places.rows * by_B2[:, :1], places.columns * by_B2[:, 1:])
