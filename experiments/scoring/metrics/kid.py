"""Kernel distance: unlike the Frechet distance, its expectation does not depend on the number of pictures."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from experiments.config.registries import METRICS
from experiments.scoring.extractors.base import Features

SUBSET = 1000
SUBSETS = 100
SEED = 2020  # of the subsets, which are torch-fidelity's


@METRICS.register("kid", version=2)
class Kid:
    """Squared MMD of features with the kernel (x.y / D + 1)^3, unbiased, over 100 subsets (arXiv:1801.01401).

    A subset has 1000 pictures, or as many as there are on the smaller side. The value is the subsets' mean.
    All of it is float64: at features near 100 the kernels are 10^12, of which float32 keeps no difference.
    It is a squared distance, so what counts as learned is as for the Frechet distance.

    Unbiased it is for independent pictures. Where each class is in proportion, pairs of pictures are of one
    class too seldom, and the values are too low by about what such pairs are nearer, divided by the number of
    pictures: real digits have -0.048 at 50, -0.017 at 180 and -0.0096 at 360 with proportional classes, and
    -0.005 and -0.004 at 50 and 180 with independent ones. A score stands beside a real floor of its own kind.

    Source: Binkowski et al., arXiv:1801.01401.
    """

    values: ClassVar[dict[str, str]] = {"kid": "lower"}
    learned: ClassVar[dict[str, float]] = {"kid": 0.1}
    min_images = 2

    def measure(self, generated: Features, real: Features) -> dict[str, float]:
        """`kid`; values slightly below 0 mean that the two sets are alike."""
        x, y = generated.pool.double(), real.pool.double()
        size = min(SUBSET, len(x), len(y))
        draw, of_x, of_y = np.random.RandomState(SEED), list[Tensor](), list[Tensor]()
        for _ in range(SUBSETS):
            of_x.append(torch.from_numpy(draw.choice(len(x), size, replace=False)))
            of_y.append(torch.from_numpy(draw.choice(len(y), size, replace=False)))
        # which of the real pictures are drawn depends on the number of the others
        known = f"kid: kernels inside {SUBSETS} subsets of {size} beside {len(x)}"
        between = torch.stack([_total(x[i], y[j]) for i, j in zip(of_x, of_y, strict=True)]) / size**2
        found = _inside(x, of_x) + real.once(known, lambda: _inside(y, of_y)) - 2 * between
        return {"kid": float(found.mean())}


def _inside(pool_ND: Tensor, subsets: list[Tensor]) -> Tensor:
    """Mean kernel of two different pictures of each subset, float64 [subsets]."""
    size = len(subsets[0])
    if size == len(pool_ND):  # each is the whole set
        return _inside_one(pool_ND).expand(len(subsets))
    return torch.stack([_inside_one(pool_ND[rows]) for rows in subsets])


def _inside_one(pool_ND: Tensor) -> Tensor:
    size, width = pool_ND.shape
    with_itself = (pool_ND.square().sum(1) / width + 1) ** 3
    return (_total(pool_ND, pool_ND) - with_itself.sum()) / (size * (size - 1))


def _total(x_ND: Tensor, y_MD: Tensor) -> Tensor:
    """Sum of the kernels of all pairs, some rows at a time, which stay in the cache."""
    one, total = x_ND.new_ones(1, 1), x_ND.new_zeros(())
    for some in x_ND.split(128):
        kernel = torch.addmm(one, some, y_MD.T, alpha=1 / x_ND.shape[1]).flatten()
        total += kernel.square().dot(kernel)
    return total
