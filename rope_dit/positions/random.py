"""In training, tokens keep their order and nothing else of their places."""

from torch import Tensor

from rope_dit.errors import check
from rope_dit.positions.base import Grid, Places, Position
from rope_dit.registry import POSITIONS


@POSITIONS.register("random")
class Random(Position):
    """In training, random indices of 0..`range`-1, in order, on each axis (RPE-2D, arXiv:2503.18719).

    That paper samples the positions of both axes independently over a range larger than the trained grid, so
    that a larger grid's indices are known too (its abstract). Here each axis of each picture takes an ordered
    subset without repetition, as for text in arXiv:2305.16843. Evaluation uses the plain indices.

    Source: RPE-2D, arXiv:2503.18719, by its abstract; subsets as in arXiv:2305.16843.

    Of five indices, three whose numbers are smallest, in order:

    >>> import torch
    >>> places = Places((1, 3), torch.zeros(3), torch.arange(3.0))
    >>> draws = torch.tensor([[0.1, 0.2, 0.3, 0.4, 0.5, 0.9, 0.1, 0.8, 0.2, 0.3]])
    >>> Random((1, 3), range=5).augment(places, draws).columns.tolist()
    [[1.0, 3.0, 4.0]]
    """

    modifies = True
    stage = 10
    even_steps = False

    def __init__(self, trained: Grid, *, range: int = 64):
        side = max(trained)
        check(range > side, "random: option 'range'", range, f"more than the grid's longer side, {side}")
        super().__init__(trained)
        self.range = range

    def num_moves(self, grid: Grid) -> int:
        """One for each index of the range, on each axis."""
        assert max(grid) <= self.range, f"{grid} does not fit in random positions of 0..{self.range - 1}"
        return 2 * self.range

    def augment(self, places: Places, moves_BN: Tensor) -> Places:
        """Take the indices whose numbers are smallest, h of them and w of them."""
        h, w = places.grid
        rows_Bh = self._chosen(moves_BN[:, : self.range], h)
        columns_Bw = self._chosen(moves_BN[:, self.range :], w)
        rows_BT = rows_Bh[:, :, None].expand(-1, h, w).flatten(1)
        return Places(places.grid, rows_BT, columns_Bw[:, None].expand(-1, h, w).flatten(1))

    def _chosen(self, draws_BR: Tensor, count: int) -> Tensor:
        order = draws_BR.argsort(dim=1, stable=True)  # stable, so that devices agree where two numbers do
        return order[:, :count].sort(dim=1).values.to(draws_BR.dtype)
