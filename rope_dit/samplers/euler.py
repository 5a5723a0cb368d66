"""Euler's method."""

from torch import Tensor

from rope_dit.registry import SOLVERS
from rope_dit.samplers.base import Noise, Solver, State, Velocity


@SOLVERS.register("euler")
class Euler(Solver):
    """Euler: one evaluation a step, order 1; exact on straight paths."""

    order = 1
    evals_per_step = 1

    def step(self, state: State, v: Velocity, t0: Tensor, t1: Tensor, noise: Noise | None) -> State:
        """x + h v(x, t0)."""
        (x,) = state
        return (x + (t1 - t0) * v(x, t0),)
