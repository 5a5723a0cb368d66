"""Exponential integrators in the time of flows, for solvers that follow the picture a velocity points at.

On x_t = t x1 + (1 - t) x0 the velocity says x1 = x + (1 - t) v. With alpha = t, sigma = 1 - t and
lambda = log(alpha / sigma), half the log of the signal-to-noise ratio,

    d(x / sigma) = x1 d(exp(lambda)),

which is solved exactly where x1 does not change. In DPM-Solver++ and UniPC the step's length is
h = lambda(t1) - lambda(t0), and -alpha(t1) (exp(-h) - 1) = (t1 - t0) / (1 - t0) is how far x goes towards x1.
"""

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Data:
    """The picture [B, C, H, W] that a velocity points at, and the time it was asked at."""

    x1: Tensor
    t: float

    @classmethod
    def of(cls, x: Tensor, v: Tensor, t: Tensor) -> "Data":
        """From x and its velocity at t."""
        return cls(x + (1 - t) * v, float(t))


def lam(t: float) -> float:
    """log(t / (1 - t)), of a time strictly between 0 and 1.

    >>> lam(0.5), round(lam(0.9), 4)  # log 9
    (0.0, 2.1972)
    """
    return math.log(t / (1 - t))


def predict(x: Tensor, now: Data, earlier: Data | None, t1: float) -> Tensor:
    """Carry x from now.t to t1, with x1 a line in lambda through its last two values.

    x1 is taken as now.x1 + (now.x1 - earlier.x1) h / (2 h'), its value in the middle; without an earlier one,
    or where lambda is infinite (the earlier one is of t = 0, or t1 = 1), as now.x1, which is a step of Euler.
    """
    x1 = now.x1
    if earlier is not None and earlier.t > 0 and t1 < 1:
        ratio = (lam(t1) - lam(now.t)) / (lam(now.t) - lam(earlier.t))
        x1 = x1 + ratio / 2 * (x1 - earlier.x1)
    return x + (t1 - now.t) / (1 - now.t) * (x1 - x)
