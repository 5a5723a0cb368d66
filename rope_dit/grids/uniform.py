"""Equal steps."""

import torch
from torch import Tensor

from rope_dit.registry import GRIDS


@GRIDS.register("uniform")
def uniform(steps: int) -> Tensor:
    """Equal steps from noise to data."""
    return torch.linspace(0, 1, steps + 1, dtype=torch.float64)
