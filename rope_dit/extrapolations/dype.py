"""Extrapolation that fades while a picture appears."""

from torch import Tensor

from rope_dit.errors import check
from rope_dit.extrapolations.base import Extrapolation
from rope_dit.registry import EXTRAPOLATIONS


@EXTRAPOLATIONS.register("dype")
class DyPE(Extrapolation):
    """DyPE: the extrapolation beside it acts by a share kappa(t) = (1 - t)^power, which is 0 at the data.

    t = 0 is noise, where it acts in full: low frequencies of a picture are settled first. The paper counts t
    from data to noise, kappa = t^2. How each fades its own file says: ntk s^(-u kappa), yarn's alpha and beta
    times kappa, pi s^kappa. Angles depend on t, so each picture has its own. Beside `none` it is refused.

    Source: Issachar et al., DyPE, arXiv:2510.20766.

    >>> import torch
    >>> DyPE().fade(torch.tensor([0.0, 0.5, 1.0])).tolist()
    [1.0, 0.25, 0.0]
    """

    modifies = True
    acts_on = "time"

    def __init__(self, *, power: float = 2.0):
        check(power > 0, "dype: option 'power'", power, "a number above 0")
        self.power = power

    def fade(self, t_B: Tensor) -> Tensor:
        """(1 - t)^power."""
        return (1 - t_B).clamp(0, 1) ** self.power
