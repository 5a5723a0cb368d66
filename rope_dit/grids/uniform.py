"""Equal steps."""

import torch
from torch import Tensor

from rope_dit.registry import GRIDS


@GRIDS.register("uniform")
def uniform(steps: int) -> Tensor:
    """Equal steps from noise to data: t_i = i / steps.

    Source: this project.

    >>> uniform(4).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    return torch.linspace(0, 1, steps + 1, dtype=torch.float64)
