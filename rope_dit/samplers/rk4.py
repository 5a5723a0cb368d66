"""The classical Runge-Kutta method."""

from torch import Tensor

from rope_dit.registry import SOLVERS
from rope_dit.samplers.base import Noise, Solver, State, Velocity


@SOLVERS.register("rk4")
class RK4(Solver):
    """Classical Runge-Kutta: four evaluations a step, order 4.

    k1 at t0, k2 and k3 at the middle, k4 at t1, each from the one before; then
    x1 = x0 + h/6 (k1 + 2 k2 + 2 k3 + k4).
    torchdiffeq's "rk4" is another method, the 3/8 rule, with times 0, 1/3, 2/3, 1 and weights 1/8, 3/8, 3/8,
    1/8: of the same order and cost, with other numbers.

    Source: W. Kutta, 1901.

    >>> RK4().step((1.0,), lambda x, t: x, 0.0, 1.0, None)  # 1 + 1 + 1/2 + 1/6 + 1/24 = 65/24
    (2.708333333333333,)
    """

    order = 4
    evals_per_step = 4

    def step(self, state: State, v: Velocity, t0: Tensor, t1: Tensor, noise: Noise | None) -> State:
        """Weights 1/6, 1/3, 1/3, 1/6 at t0, twice at the middle, and t1."""
        (x,) = state
        h = t1 - t0
        k1 = v(x, t0)
        k2 = v(x + h / 2 * k1, t0 + h / 2)
        k3 = v(x + h / 2 * k2, t0 + h / 2)
        k4 = v(x + h * k3, t1)
        return (x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4),)
