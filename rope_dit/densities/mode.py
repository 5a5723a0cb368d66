"""Times near the middle, with ends that never run dry."""

import math

import torch
from torch import Tensor

from rope_dit.densities.base import Density
from rope_dit.errors import check
from rope_dit.registry import DENSITIES


@DENSITIES.register("mode")
class Mode(Density):
    """Heavy-tailed mode sampling: more in the middle for scale > 0, at the ends below (arXiv:2403.03206).

    t = u + s (cos^2(pi u / 2) - 1 + u) turned round: the paper's f(u; s) of section 3.1 gives 1 - t, and f is
    symmetric, f(1 - u) = 1 - f(u). At 0 it is uniform; 1.29 is the scale that did best there.

    Source: Esser et al. (arXiv:2403.03206, section 3.1).

    >>> import torch
    >>> u = torch.tensor([0.0, 0.5, 2 / 3, 1.0])  # at 2/3, back 1/3: 1 - (1/3 + 1.29 (3/4 - 2/3))
    >>> [round(t, 4) for t in Mode().quantile(u).tolist()]
    [0.0, 0.5, 0.5592, 1.0]
    """

    def __init__(self, *, scale: float = 1.29):
        most = 2 / (math.pi - 2)  # beyond, f is no longer monotone
        check(-1 <= scale <= most, "mode: option 'scale'", scale, f"a number from -1 to {most:.4f}")
        self.scale = scale

    def quantile(self, u: Tensor) -> Tensor:
        """Return f(1 - u; scale), which rises in u."""
        back = 1 - u
        return 1 - back - self.scale * (torch.cos(math.pi / 2 * back).square() - 1 + back)
