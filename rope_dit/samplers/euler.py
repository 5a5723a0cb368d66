"""Euler's method."""

from torch import Tensor

from rope_dit.registry import SOLVERS
from rope_dit.samplers.base import Noise, Solver, State, Velocity


@SOLVERS.register("euler")
class Euler(Solver):
    """Euler: one evaluation a step, order 1; exact on straight paths.

    x1 = x0 + h v(x0, t0).

    Source: L. Euler, 1768.

    >>> Euler().step((1.0,), lambda x, t: x + t, 0.0, 0.5, None)  # 1 + 1/2
    (1.5,)
    """

    order = 1
    evals_per_step = 1

    def step(self, state: State, v: Velocity, t0: Tensor, t1: Tensor, noise: Noise | None) -> State:
        """x + h v(x, t0)."""
        (x,) = state
        return (x + (t1 - t0) * v(x, t0),)
