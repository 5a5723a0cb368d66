"""NTK-aware scaling: the base of rotary frequencies is raised."""

from typing import Literal

import torch
from torch import Tensor

from rope_dit.extrapolations.base import Extrapolation, Fade
from rope_dit.registry import EXTRAPOLATIONS


@EXTRAPOLATIONS.register("ntk")
class NTK(Extrapolation):
    """NTK-aware scaling: the fastest pair keeps its frequency, the slowest is divided by s, others between.

    A frequency f is multiplied by s^(-u), u = log(fastest / f) / log(fastest / slowest) of its head: for
    f_i = theta^(-i/n), i = 0..n-1, this is the base theta * s^(n/(n-1)), which is theta * s^(d/(d-2)) of a
    width of d = 2n. Said by logarithms it is defined for learned and directional frequencies too. s is how
    many times longer the axis is: of each axis with `axes=separate` (FiT's VisionNTK), the larger of both
    with `joint`. A single pair keeps its frequency. With `dype`: s^(-u kappa).

    Source: bloc97's NTK-aware scaling as in YaRN, arXiv:2309.00071, section 3.1; per axis FiT,
    arXiv:2402.12376.

    Three pairs on an axis four times as long:

    >>> f = torch.tensor([1.0, 0.1, 0.01])
    >>> NTK().factor(f, f, 4.0, 1.0).tolist()
    [1.0, 0.5, 0.25]
    """

    acts_on = "frequencies"

    def __init__(self, *, axes: Literal["separate", "joint"] = "separate"):
        self.axes = axes

    def factor(self, size: Tensor, turns: Tensor, stretch: float, fade: Fade) -> Tensor:
        """s^(-u), and of frequencies that are 0 anything."""
        still = size <= 0
        log = torch.where(still, 1.0, size).log()
        fastest = torch.where(still, -torch.inf, log).amax(-1, keepdim=True)
        slowest = torch.where(still, torch.inf, log).amin(-1, keepdim=True)
        span = fastest - slowest
        u = torch.where(still | ~(span > 0), 0.0, (fastest - log) / torch.where(span > 0, span, 1.0))
        factor: Tensor = stretch ** (-u * fade)
        return factor
