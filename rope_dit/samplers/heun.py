"""Heun's method."""

from torch import Tensor

from rope_dit.registry import SOLVERS
from rope_dit.samplers.base import Noise, Solver, State, Velocity


@SOLVERS.register("heun")
class Heun(Solver):
    """Heun: the mean of the velocities at both ends; two evaluations in every step, the last too; order 2."""

    order = 2
    evals_per_step = 2

    def step(self, state: State, v: Velocity, t0: Tensor, t1: Tensor, noise: Noise | None) -> State:
        """x + h/2 (v(x, t0) + v(x + h v(x, t0), t1))."""
        (x,) = state
        h, v0 = t1 - t0, v(x, t0)
        return (x + h / 2 * (v0 + v(x + h * v0, t1)),)
