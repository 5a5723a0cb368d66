"""Heun's method."""

from torch import Tensor

from rope_dit.registry import SOLVERS
from rope_dit.samplers.base import Noise, Solver, State, Velocity


@SOLVERS.register("heun")
class Heun(Solver):
    """Heun: the mean of the velocities at both ends; two evaluations in every step, the last too; order 2.

    x1 = x0 + h/2 (v(x0, t0) + v(x0 + h v(x0, t0), t1)).

    Source: K. Heun, 1900; as a sampler EDM (arXiv:2206.00364), whose last step is Euler's.

    >>> Heun().step((1.0,), lambda x, t: x + t, 0.0, 1.0, None)  # 1 + (1 + 3) / 2
    (3.0,)
    """

    order = 2
    evals_per_step = 2

    def step(self, state: State, v: Velocity, t0: Tensor, t1: Tensor, noise: Noise | None) -> State:
        """x + h/2 (v(x, t0) + v(x + h v(x, t0), t1))."""
        (x,) = state
        h, v0 = t1 - t0, v(x, t0)
        return (x + h / 2 * (v0 + v(x + h * v0, t1)),)
