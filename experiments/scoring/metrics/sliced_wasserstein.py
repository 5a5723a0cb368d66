"""Sliced Wasserstein distance of features: optimal transport along many fixed directions."""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from experiments.config.registries import METRICS
from experiments.scoring.extractors.base import Features
from rope_dit.randomness import Stream, normal

DIRECTIONS = 1000
AT_ONCE = 100  # directions
SEED = 0  # of the directions, which are the same for every score
KEPT = 5_000_000  # numbers of the real pictures that are kept at most, instead of being made for each score


@METRICS.register("sliced_wasserstein")
class SlicedWasserstein:
    """`swd` = 3 D times the mean of W2^2 along 1,000 fixed directions u, of features u.x in D dimensions.

    W2^2 on a line is the mean squared difference of quantiles. A mean shifted by m gives 3 |m|^2, whatever D:
    the paper's factor 3 D is D / 3 times 9, so that values are like those of FID. Unlike the Frechet
    distance it sees more than means and covariances, and fitting none it is biased less by few pictures.
    With Inception it is the paper's MIND, but for the real pictures: the paper takes as many as are
    generated (at best 5,000), here it is all of them, by exact quantiles of unequal numbers.

    It is a squared distance, so what counts as learned is as for the Frechet distance.

    Source: Berthet et al., arXiv:2605.06797 (MIND); torch-fidelity's metric_mind, which has the same factor.
    """

    values: ClassVar[dict[str, str]] = {"swd": "lower"}
    ranges: ClassVar[dict[str, tuple[int, None]]] = {"swd": (0, None)}
    learned: ClassVar[dict[str, float]] = {"swd": 0.1}
    min_images = 1

    def measure(self, generated: Features, real: Features) -> dict[str, float]:
        """`swd`; 0 of a set against itself."""
        n, width = generated.pool.shape
        middle = real.pool.double().mean(0)
        x_ND = generated.pool.double() - middle
        drawn = normal(SEED, Stream.DIRECTIONS, torch.arange(DIRECTIONS), width).double()
        u_DK = F.normalize(drawn, dim=1).T
        keep = real.once if n * DIRECTIONS <= KEPT else lambda name, make: make()
        parts = keep(f"sliced_wasserstein: {n} parts", lambda: _parts(real.pool.double() - middle, u_DK, n))
        along = [
            ((x_ND @ some_DK).sort(0).values - means).square().mean(0)
            for some_DK, means in zip(u_DK.split(AT_ONCE, 1), parts[:n].split(AT_ONCE, 1), strict=True)
        ]
        return {"swd": 3 * width * float((torch.cat(along) + parts[n]).mean())}


def _parts(y_ND: Tensor, u_DK: Tensor, n: int) -> Tensor:
    """Along each direction the means of n equal parts of the real pictures in order, [n + 1, K].

    The last row is the mean variance inside those parts: n pictures cannot come nearer than that.
    """
    edges = torch.arange(n + 1, dtype=torch.float64) * (len(y_ND) / n)
    whole = edges.floor().long().clamp(max=len(y_ND))
    part = (edges - whole)[:, None]
    found = []
    for some_DK in u_DK.split(AT_ONCE, 1):
        y = (y_ND @ some_DK).sort(0).values
        y = torch.cat([y, y[-1:]])  # of which the last edge takes nothing
        sums, squares = (
            torch.cat([one.new_zeros(1, one.shape[1]), one[:-1].cumsum(0)]) for one in (y, y * y)
        )
        up_to, up_to_2 = (s[whole] + part * one[whole] for s, one in ((sums, y), (squares, y * y)))
        means = up_to.diff(dim=0) * (n / len(y_ND))
        inside = (up_to_2.diff(dim=0) * (n / len(y_ND)) - means.square()).mean(0).clamp_min(0)
        found.append(torch.cat([means, inside[None]]))
    return torch.cat(found, 1)
