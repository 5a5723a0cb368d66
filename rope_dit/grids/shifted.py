"""Steps shifted towards noise or data."""

import torch
from torch import Tensor

from rope_dit.config import check
from rope_dit.registry import GRIDS


@GRIDS.register("shifted")
def shifted(steps: int, *, shift: float = 3.0) -> Tensor:
    """More steps near noise for shift > 1, near data below 1; 1 is uniform (arXiv:2403.03206, equation 23).

    With that paper's time s = 1 - t, where s = 1 is noise: s' = shift s / (1 + (shift - 1) s).
    """
    check(shift > 0, "grid shifted: option 'shift'", shift, "a number above 0")
    s = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    return 1 - shift * s / (1 + (shift - 1) * s)
