"""Steps of the cosine noise schedule."""

import math

import torch
from torch import Tensor

from rope_dit.registry import GRIDS


@GRIDS.register("cosine")
def cosine(steps: int) -> Tensor:
    """Equal steps of the cosine schedule, carried over by signal-to-noise ratio: more steps in the middle.

    After the share u of the steps that schedule has the signal sin(pi/2 u) and the noise cos(pi/2 u) (without
    its offset of 0.008); a flow has t and 1 - t. Equal ratios give t = sin(pi/2 u) / (sin + cos)(pi/2 u).
    Steps are pi/2 of the equal ones' length at both ends, and pi/4 of it at t = 1/2.

    Source: Nichol and Dhariwal (arXiv:2102.09672); carried over as CosMap in arXiv:2403.03206.

    >>> [round(t, 4) for t in cosine(3).tolist()]  # tan(30 degrees) = 1/sqrt(3), so 1/(1 + sqrt(3))
    [0.0, 0.366, 0.634, 1.0]
    """
    angle = torch.linspace(0, 1, steps + 1, dtype=torch.float64) * (math.pi / 2)
    signal, noise = angle.sin(), angle.sin().flip(0)  # flipped: the cosine of pi/2 is no exact 0
    return signal / (signal + noise)
