"""Steps at quantiles of a logit-normal density."""

import torch
from torch import Tensor

from rope_dit.errors import check
from rope_dit.registry import GRIDS


@GRIDS.register("logit_normal")
def logit_normal(steps: int, *, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Quantiles of a logit-normal density: between two times lies the same share of training times.

    t_i = sigmoid(mean + std q(i / steps)), q being the quantile of a standard normal: minus infinity at the
    first time, which is 0, and infinity at the last, which is 1. As in the density of that name a mean above
    0 puts more steps near data; a smaller std puts more around sigmoid(mean).

    Source: the density is that of Esser et al. (arXiv:2403.03206, section 3.1); its quantiles as a grid: this
    project.

    >>> [round(t, 4) for t in logit_normal(4).tolist()]  # quartiles of a normal: 0.6745, sigmoid 0.6625
    [0.0, 0.3375, 0.5, 0.6625, 1.0]
    """
    check(abs(mean) <= 5, "grid logit_normal: option 'mean'", mean, "a number from -5 to 5")
    check(0.01 <= std <= 3, "grid logit_normal: option 'std'", std, "a number from 0.01 to 3")
    u = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    return torch.sigmoid(mean + std * torch.special.ndtri(u))
