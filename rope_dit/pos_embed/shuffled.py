"""A negative control: rotary embedding with the tokens' places shuffled."""

import torch
from torch import Tensor

from rope_dit.pos_embed.base import Geometry
from rope_dit.pos_embed.rope2d import Rope2D
from rope_dit.positions.base import Places
from rope_dit.randomness import Stream, integers, name_index
from rope_dit.registry import POS_EMBEDS


def permutation(count: int, device: torch.device) -> Tensor:
    """Order of `count` tokens, the same in every run: it belongs to the variant and to no seed.

    >>> sorted(permutation(12, torch.device("cpu")).tolist()) == list(range(12))
    True
    """
    drawn = integers(0, Stream.VARIANT_WEIGHTS, name_index("shuffled.permutation", device), count)
    return drawn[0].argsort(stable=True)


@POS_EMBEDS.register("shuffled")
class Shuffled(Rope2D):
    """Negative control: `rope2d` with the places of all tokens permuted, once and for all runs.

    Token n turns by the angles that rope2d gives token p(n); p is a fixed random permutation, one for each
    number of tokens. Same angles, same cost, each token can still be told from all others, but neighbours are
    torn apart: what rope2d gains over this control, it gains by geometry. Angles count from where p puts the
    first token, which changes no logit. Nothing is learned. Needs all tokens of the grid.

    Source: this project.

    >>> pos, rope = Shuffled(Geometry(32, 4, 8, 2, (5, 7))), Rope2D(Geometry(32, 4, 8, 2, (5, 7)))
    >>> places = pos.geometry.trained_places()
    >>> order = permutation(35, places.rows.device)
    >>> moved, plain = (p.turns(places)[0] for p in (pos, rope))
    >>> torch.equal(moved[3] - moved[8], plain[order[3]] - plain[order[8]])
    True
    """

    relative = False
    sees = ("row", "column")
    extrapolates = False
    needs_grid = True
    extrapolates_frequencies = False
    owner = "shuffled"

    def __init__(self, geometry: Geometry, *, theta: float = 100.0):
        super().__init__(geometry, theta=theta)

    def turns(self, places: Places, layer: int = 0) -> Tensor:
        """Angles of rope2d, of the token that each token takes the place of."""
        order = permutation(places.rows.shape[-1], places.rows.device)
        axes = (axis[..., order] - axis[..., order[:1]] for axis in (places.rows, places.columns))
        return super().turns(Places(places.grid, *axes))
