"""The steps of EDM."""

import torch
from torch import Tensor

from rope_dit.errors import check
from rope_dit.registry import GRIDS


@GRIDS.register("edm")
def edm(steps: int, *, rho: float = 7.0, sigma_min: float = 0.002, sigma_max: float = 80.0) -> Tensor:
    """EDM's noise levels, equal steps in sigma^(1/rho), mapped to the times of a flow.

    sigma_i = (sigma_max^(1/rho) + i/(steps - 1) (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho for i from 0 to
    steps - 1, then 0. EDM's x = x1 + sigma x0 is a flow's x_t / t with sigma = (1 - t) / t, so the map is
    t = 1 / (1 + sigma). Sampling starts at pure noise, so t_0 = 0 stands for 1 / (1 + sigma_max). Larger rho
    means more steps near data; one step goes from 0 to 1.

    Source: EDM (arXiv:2206.00364, equation 5); the map to t is by equal signal-to-noise ratio.

    >>> [round(t, 4) for t in edm(3, rho=1.0, sigma_min=1.0, sigma_max=5.0).tolist()]  # sigma 5, 3, 1, 0
    [0.0, 0.25, 0.5, 1.0]
    """
    check(1 <= rho <= 100, "grid edm: option 'rho'", rho, "a number from 1 to 100")
    check(1e-6 <= sigma_min < sigma_max, "grid edm: option 'sigma_min'", sigma_min,
          "a number from 1e-06 to below sigma_max")  # fmt: skip
    check(sigma_max <= 1e6, "grid edm: option 'sigma_max'", sigma_max, "a number up to 1e6")
    share = torch.linspace(0, 1, max(2, steps), dtype=torch.float64)[:steps]
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    times = 1 / (1 + (high + share * (low - high)) ** rho)
    times[0] = 0
    return torch.cat((times, times.new_ones(1)))
