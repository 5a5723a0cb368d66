"""Classifier-free guidance."""

from typing import ClassVar

import torch
from torch import Tensor

from rope_dit.guidance.base import (
    CLOSE,
    Guidance,
    Network,
    check_interval,
    check_number,
    times,
    unguided,
)
from rope_dit.registry import GUIDANCES
from rope_dit.samplers.base import Velocity


@GUIDANCES.register("cfg")
class ClassifierFree(Guidance):
    """Classifier-free guidance at times from `begin` to `end`; weight 1 is none (arXiv:2207.12598).

    v = v_null + weight (v_class - v_null) on all channels at times within the interval (arXiv:2404.07724),
    both ends included; elsewhere the class's velocity alone, at one evaluation instead of two. Weight 0 is
    unconditional, more than 1 exaggerates the class.

    Source: Ho and Salimans (arXiv:2207.12598); the interval: Kynkaanniemi et al. (arXiv:2404.07724).

    >>> import torch
    >>> x, labels = torch.zeros(1, 1, 1, 1), torch.tensor([2])
    >>> network = lambda x, t, labels: 5.0 + labels.view(-1, 1, 1, 1)  # 7 of class 2, 8 of the null class 3
    >>> ClassifierFree(weight=3.0).velocity(network, labels, 3)(x, torch.tensor(0.5)).item()  # 8 + 3 (7 - 8)
    5.0
    """

    evals = 2
    needs_null_class = True
    off: ClassVar[dict[str, float]] = {"weight": 1.0}

    def __init__(self, *, weight: float = 1.0, begin: float = 0.0, end: float = 1.0):
        check_number("cfg", "weight", weight, 1000)
        check_interval("cfg", begin, end)
        self.weight, self.begin, self.end = weight, begin, end

    def velocity(self, network: Network, labels_B: Tensor, null_label: int | None) -> Velocity:
        """See the class."""
        plain = unguided(network, labels_B)
        if self.weight == 1:
            return plain
        assert null_label is not None, "guidance needs a model with a null class"
        labels = torch.cat((labels_B, torch.full_like(labels_B, null_label)))

        def guided(x_BCHW: Tensor, t: Tensor) -> Tensor:
            time = float(t)
            if not self.begin - CLOSE <= time <= self.end + CLOSE:
                return plain(x_BCHW, t)
            t_B = times(x_BCHW, time)
            v_class, v_null = network(torch.cat((x_BCHW, x_BCHW)), torch.cat((t_B, t_B)), labels).chunk(2)
            return v_null + self.weight * (v_class - v_null)

        return guided
