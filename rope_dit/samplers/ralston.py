"""Ralston's method."""

from torch import Tensor

from rope_dit.registry import SOLVERS
from rope_dit.samplers.base import Noise, Solver, State, Velocity


@SOLVERS.register("ralston")
class Ralston(Solver):
    """Ralston: two evaluations a step at 0 and 2/3 of it, order 2 with the least bound on its error.

    x1 = x0 + h (k1 + 3 k2) / 4 with k1 = v(x0, t0) and k2 = v(x0 + 2/3 h k1, t0 + 2/3 h). Of all two-stage
    methods of order 2 (heun and midpoint are others) this one has the smallest bound on the step's error.

    Source: A. Ralston, Runge-Kutta methods with minimum error bounds, Mathematics of Computation 16, 1962.

    >>> Ralston().step((0.0,), lambda x, t: t**3, 0.0, 3.0, None)  # 3 (0 + 3 2^3) / 4; heun gives 3 3^3 / 2
    (18.0,)
    """

    order = 2
    evals_per_step = 2

    def step(self, state: State, v: Velocity, t0: Tensor, t1: Tensor, noise: Noise | None) -> State:
        """See the class."""
        (x,) = state
        h, v0 = t1 - t0, v(x, t0)
        return (x + h / 4 * (v0 + 3 * v(x + h * 2 / 3 * v0, t0 + h * 2 / 3)),)
