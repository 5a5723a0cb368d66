"""Times spread evenly over a batch."""

import torch
from torch import Tensor

from rope_dit.densities.base import Density
from rope_dit.randomness import Numbers
from rope_dit.registry import DENSITIES


@DENSITIES.register("stratified")
class Stratified(Density):
    """One time from each of as many equally likely strata as a batch has pictures, of the density beside it.

    Each time alone is distributed as before, and the mean over a batch varies less. Pictures come in random
    order, so picture i may have stratum i.

    Source: stratified sampling; low-discrepancy times are those of variational diffusion models
    (arXiv:2107.00630), which have one u for the whole batch.

    >>> import torch
    >>> from rope_dit.densities.uniform import Uniform
    >>> from rope_dit.randomness import Stream
    >>> numbers = Numbers(0, Stream.TIME, torch.arange(1))
    >>> (Stratified(Uniform()).draw(numbers, 4) * 4).floor().tolist()  # one from each quarter
    [[0.0, 1.0, 2.0, 3.0]]
    """

    modifies = True

    def __init__(self, of: Density):
        self.of = of

    def quantile(self, u: Tensor) -> Tensor:
        """As that of the density it wraps."""
        return self.of.quantile(u)

    def draw(self, numbers: Numbers, count: int) -> Tensor:
        """Quantiles at (i + u_i) / count."""
        u = numbers.uniform(count).double()
        return self.quantile((torch.arange(count, device=u.device) + u) / count).float()
