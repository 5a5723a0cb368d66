"""CFG-Zero*: classifier-free guidance with a fitted scale, and no velocity at first."""

from typing import ClassVar

import torch
from torch import Tensor

from rope_dit.guidance.base import CLOSE, Guidance, Network, check_number, times, unguided
from rope_dit.registry import GUIDANCES
from rope_dit.samplers.base import Velocity


@GUIDANCES.register("cfg_zero")
class CFGZero(Guidance):
    """CFG-Zero*: the unconditional velocity is fitted to the class's first; weight 1 is none.

    v = s v_null + weight (v_class - s v_null) with s = <v_class, v_null> / |v_null|^2, the inner products
    over all pixels and channels, for each picture. At times below `zero` the velocity is 0 and nothing is
    evaluated. The paper zeroes the first steps by their number; here they are those that ask at a time below
    `zero`: with 50 equal steps of euler and 0.02 the first one, with heun the first half of the first.
    zero=0 has the fitted scale alone. With weight 1 nothing is zeroed either.

    Source: Fan et al. (arXiv:2503.18886).

    >>> x, labels = torch.zeros(1, 2, 1, 1), torch.tensor([0])
    >>> network = lambda x, t, labels: torch.tensor([[3.0, 1.0], [1.0, 1.0]]).view(2, 2, 1, 1)  # s = 4/2
    >>> v = CFGZero(weight=2.0).velocity(network, labels, 1)  # (2, 2) + 2 ((3, 1) - (2, 2))
    >>> v(x, torch.tensor(0.5)).flatten().tolist(), v(x, torch.tensor(0.0)).flatten().tolist()
    ([4.0, 0.0], [0.0, 0.0])
    """

    evals = 2
    needs_null_class = True
    off: ClassVar[dict[str, float]] = {"weight": 1.0}

    def __init__(self, *, weight: float = 1.0, zero: float = 0.02):
        check_number("cfg_zero", "weight", weight, 1000)
        check_number("cfg_zero", "zero", zero, 1)
        self.weight, self.zero = weight, zero

    def velocity(self, network: Network, labels_B: Tensor, null_label: int | None) -> Velocity:
        """See the class."""
        if self.weight == 1:
            return unguided(network, labels_B)
        assert null_label is not None, "guidance needs a model with a null class"
        labels = torch.cat((labels_B, torch.full_like(labels_B, null_label)))

        def guided(x_BCHW: Tensor, t: Tensor) -> Tensor:
            time = float(t)
            if time < self.zero - CLOSE:
                return torch.zeros_like(x_BCHW)
            t_B = times(x_BCHW, time)
            v_class, v_null = network(torch.cat((x_BCHW, x_BCHW)), torch.cat((t_B, t_B)), labels).chunk(2)
            null = fitted(v_null, v_class)
            return null + self.weight * (v_class - null)

        return guided


def fitted(v_BCHW: Tensor, to_BCHW: Tensor) -> Tensor:
    """Scale each picture's velocity to be as near to another as it can; none of nothing."""
    inner, square = ((v_BCHW * other).flatten(1).sum(1) for other in (to_BCHW, v_BCHW))
    return v_BCHW * (inner / square.clamp_min(torch.finfo(square.dtype).tiny)).view(-1, 1, 1, 1)
