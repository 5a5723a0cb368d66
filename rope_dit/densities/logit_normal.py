"""Times near the middle."""

import torch
from torch import Tensor

from rope_dit.densities.base import Density
from rope_dit.errors import check
from rope_dit.randomness import Numbers
from rope_dit.registry import DENSITIES


@DENSITIES.register("logit_normal", neutral={"mean": 0.0, "std": 1.0})
class LogitNormal(Density):
    """Sigmoid of a normal: few times near noise and data (Esser et al., arXiv:2403.03206, section 3.1).

    That paper's time is 1 - t, so a `mean` above 0 here means more times near data, there near noise.

    Source: Esser et al. (arXiv:2403.03206, section 3.1).

    >>> import torch
    >>> t = LogitNormal(mean=1.0).quantile(torch.tensor([0.5, 0.8413447]))  # sigmoid(1), sigmoid(2)
    >>> [round(float(number), 4) for number in t]
    [0.7311, 0.8808]
    """

    def __init__(self, *, mean: float = 0.0, std: float = 1.0):
        check(abs(mean) <= 10, "logit_normal: option 'mean'", mean, "a number from -10 to 10")
        check(0 < std <= 10, "logit_normal: option 'std'", std, "a number above 0 and up to 10")
        self.mean, self.std = mean, std

    def quantile(self, u: Tensor) -> Tensor:
        """Sigmoid of the normal's quantile."""
        return torch.sigmoid(self.mean + self.std * torch.special.ndtri(u))

    def draw(self, numbers: Numbers, count: int) -> Tensor:
        """Sigmoid of normals by Box and Muller, which are the same on every device."""
        return torch.sigmoid(self.mean + self.std * numbers.normal(count).double()).float()
