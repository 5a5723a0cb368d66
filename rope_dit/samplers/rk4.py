"""The classical Runge-Kutta method."""

from torch import Tensor

from rope_dit.registry import SOLVERS
from rope_dit.samplers.base import Noise, Solver, State, Velocity


@SOLVERS.register("rk4")
class RK4(Solver):
    """Classical Runge-Kutta: four evaluations a step, order 4."""

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
