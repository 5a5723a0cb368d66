"""Balls around features that reach to their k-th nearest neighbours, in float64.

A distance is |a|^2 + |b|^2 - 2 a.b of features less their mean. In float32 that is noise where they lie far
from zero, and in float64 it is good to about 1e-14 of the largest |a|^2: what is nearer than `SAME` of that
counts as equal, so that copies are at distance 0 whatever the rounding.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from experiments.scoring.extractors.base import Features

NEAREST = 5
SAME = 1e-12
CELLS = 8_000_000  # distances in memory at a time: 64 MB


def nearest(some_ND: Tensor, others_MD: Tensor, k: int) -> Tensor:
    """Squared distances to the k nearest of `others`, float64 [N, k], nearest first.

    >>> line = torch.tensor([[0.0], [1.0], [3.0]])
    >>> nearest(line + 1000, line + 1000, 2).round(decimals=6).tolist()
    [[0.0, 1.0], [0.0, 1.0], [0.0, 4.0]]
    """
    return torch.cat([_distances(*block).topk(k, 1, largest=False).values
                      for block in _blocks(some_ND, others_MD)])  # fmt: skip


def radii(pool_ND: Tensor, k: int) -> Tensor:
    """Squared distance of each to the k-th nearest other, float64 [N]."""
    return nearest(pool_ND, pool_ND, k + 1)[:, k]


def known_radii(real: Features, k: int) -> Tensor:
    """`radii` of real pictures to any of their 5 nearest others, or of all, made once for all metrics."""

    def made() -> Tensor:
        return nearest(real.pool, real.pool, min(NEAREST + 1, len(real)))[:, 1:].T

    return real.once(f"neighbours: radii to the {NEAREST} nearest", made)[k - 1]


def met_balls(some_ND: Tensor, others_MD: Tensor, radii_M: Tensor) -> tuple[Tensor, Tensor]:
    """How many balls around `others` each lies in, int64 [N], and which of them hold any, bool [M].

    `radii_M` are squared, and edges count.

    >>> line = torch.tensor([[0.0], [1.0], [3.0]])
    >>> met_balls(line[:2], line, torch.tensor([1.0, 1.0, 4.0]))
    (tensor([2, 2]), tensor([True, True, True]))
    """
    reach, counts = radii_M * (1 + 1e-9), list[Tensor]()
    met = torch.zeros(len(others_MD), dtype=torch.bool)
    for block in _blocks(some_ND, others_MD):
        inside = _distances(*block) <= reach
        counts.append(inside.sum(1))
        met |= inside.any(0)
    return torch.cat(counts), met


def is_inside(some_ND: Tensor, others_MD: Tensor, radii_M: Tensor) -> Tensor:
    """Whether each lies in a ball around any of `others`, bool [N]: as `met_balls` counts them, faster."""
    reach, found = radii_M * (1 + 1e-9), []
    for a_nD, b_MD, a2_n, b2_M, least in _blocks(some_ND, others_MD):
        beyond = torch.addmm(b2_M - reach.clamp_min(least), a_nD, b_MD.T, alpha=-2).amin(1)
        found.append(beyond <= -a2_n)
    return torch.cat(found)


def _blocks(some_ND: Tensor, others_MD: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, float]]:
    """Some rows, all others, the squares of both, and what counts as no distance."""
    b = others_MD.double()
    middle = b.mean(0)
    a, b = some_ND.double() - middle, b - middle
    a2, b2 = a.square().sum(1), b.square().sum(1)
    least = SAME * float(torch.maximum(a2.max(), b2.max()))
    rows = max(1, CELLS // len(b))
    for some, squares in zip(a.split(rows), a2.split(rows), strict=True):
        yield some, b, squares, b2, least


def _distances(a_nD: Tensor, b_MD: Tensor, a2_n: Tensor, b2_M: Tensor, least: float) -> Tensor:
    """Squared distances, [n, M]."""
    d2 = torch.addmm(b2_M, a_nD, b_MD.T, alpha=-2).add_(a2_n[:, None])
    return F.threshold(d2, least, 0.0, inplace=True)
