"""Nothing is done about larger grids."""

from rope_dit.extrapolations.base import Extrapolation
from rope_dit.registry import EXTRAPOLATIONS


@EXTRAPOLATIONS.register("none")
class NoExtrapolation(Extrapolation):
    """Nothing: places beyond the trained ones are met with the frequencies that were trained.

    Source: this project.

    >>> NoExtrapolation().squeeze(2.0, 1.0), NoExtrapolation().logits(2.0, (16, 64), 1.0)
    (1.0, 1.0)
    """
