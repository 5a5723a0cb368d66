"""Steps shifted towards noise or data."""

import torch
from torch import Tensor

from rope_dit.errors import check
from rope_dit.registry import GRIDS


@GRIDS.register("shifted")
def shifted(steps: int, *, shift: float = 3.0) -> Tensor:
    """More steps near noise for shift > 1, near data below 1; 1 is uniform (arXiv:2403.03206, section 5.3.2).

    That paper's time is s = 1 - t, where s = 1 is noise, and its shift is s' = shift s / (1 + (shift - 1) s).
    Hence t' = t / (t + shift (1 - t)), which has both ends exact and loses no digits near either.

    Source: Esser et al. (arXiv:2403.03206, section 5.3.2).

    >>> shifted(2).tolist()  # the paper's s = 1/2 goes to 3/4 at shift 3
    [0.0, 0.25, 1.0]
    """
    # wider, neighbouring times near an end would round to the same number
    check(1e-3 <= shift <= 1e3, "grid shifted: option 'shift'", shift, "a number from 0.001 to 1000")
    t = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    return t / (t + shift * (1 - t))
