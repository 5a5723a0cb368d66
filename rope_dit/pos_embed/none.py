"""No positional embedding: the floor of every comparison."""

from rope_dit.pos_embed.base import PosEmbed
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("none")
class NoPosEmbed(PosEmbed):
    """No position at all: the model sees a set of patches. Nothing is learned, added, rotated or biased.

    Source: this project, as the floor.

    >>> from rope_dit.pos_embed.base import Geometry
    >>> list(NoPosEmbed(Geometry(32, 4, 8, 2, (5, 7))).parameters())
    []
    """

    relative = True
    sees = ()
    symmetric = True
    extrapolates = True
    uses_coordinates = False
