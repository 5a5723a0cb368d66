"""Extrapolation that fades while a picture appears."""

from torch import Tensor

from rope_dit.errors import check
from rope_dit.extrapolations.base import Extrapolation
from rope_dit.registry import EXTRAPOLATIONS


@EXTRAPOLATIONS.register("dype")
class DyPE(Extrapolation):
    """DyPE: the extrapolation beside it acts by a share kappa(t) = (1 - t)^power, which is 0 at the data.

    t = 0 is noise, where it acts in full: low frequencies of a picture are settled first. The authors count t
    from data to noise, with t^2. What fades, each file says: ntk's s^(-u kappa), yarn's alpha and beta times
    kappa, pi's s^kappa, so that nothing is left at the data. (Their code raises YaRN's bounds to the power of
    2 t^2, which leaves slow frequencies divided there.) Angles depend on t, so each picture has its own.
    Beside `none` it is refused.

    Source: Issachar et al., DyPE, arXiv:2510.20766; how each fades: this project.

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
