"""The explicit midpoint method."""

from torch import Tensor

from rope_dit.registry import SOLVERS
from rope_dit.samplers.base import Noise, Solver, State, Velocity


@SOLVERS.register("midpoint")
class Midpoint(Solver):
    """Midpoint: half an Euler step, then the velocity found there; two evaluations a step, order 2.

    x1 = x0 + h v(x0 + h/2 v(x0, t0), t0 + h/2).

    Source: C. Runge, 1895.

    >>> Midpoint().step((1.0,), lambda x, t: x + t, 0.0, 1.0, None)  # 1 + (3/2 + 1/2)
    (3.0,)
    """

    order = 2
    evals_per_step = 2

    def step(self, state: State, v: Velocity, t0: Tensor, t1: Tensor, noise: Noise | None) -> State:
        """x + h v(x + h/2 v(x, t0), t0 + h/2)."""
        (x,) = state
        half = (t1 - t0) / 2
        return (x + 2 * half * v(x + half * v(x, t0), t0 + half),)
