"""Euler's method for the stochastic differential equations whose marginals are those of the flow."""

from typing import Literal

from torch import Tensor

from rope_dit.registry import SOLVERS
from rope_dit.samplers.base import Noise, Solver, State, Velocity
from rope_dit.samplers.diffusions import Diffusion


@SOLVERS.register("sde")
class SDE(Solver):
    """Euler-Maruyama, at any diffusion: one evaluation a step; `sde_heun` is stochastic Heun.

    A step adds noise of variance w h and, on average, takes as much away:

        x1 = x0 + h (v + w(t0)/2 (t0 v - x0) / (1 - t0)) + sqrt(w(t1) h) noise,  v = v(x0, t0).

    w is scale (1 - t) for schedule=linear, scale for constant, scale sin^2(pi t) for sine (diffusions.py).
    The last step, to t = 1, is by the mean: it adds no noise. The drift has a limit there, because t v - x
    is -E[x0 | x], which goes to 0 as 1 - t does; it is never asked for at t = 1. scale=0 is Euler, and
    schedule=linear is euler_maruyama with churn=scale, to the bit.

    Source: SiT (arXiv:2401.08740), where the diffusion w is free; sine and the last step: this project.

    >>> import torch
    >>> half = torch.tensor([0.5, 1.0], dtype=torch.float64)  # 4 + 1/2 (1 + 1/2 (1/2 - 4))
    >>> x = torch.full((1,), 4.0, dtype=torch.float64)
    >>> SDE().integrate(lambda x, t: torch.ones_like(x), x, half, lambda step, x: x).item()
    3.625
    """

    order = None
    evals_per_step = 1
    stochastic = True

    def __init__(self, *, schedule: Literal["linear", "constant", "sine"] = "linear", scale: float = 1.0):
        self.schedule, self.scale = schedule, scale
        self._diffusion = Diffusion("sde", schedule, scale)

    def start(self, x: Tensor) -> State:
        """Count steps: each has noise of its own."""
        return (x, 0)

    def step(self, state: State, v: Velocity, t0: Tensor, t1: Tensor, noise: Noise | None) -> State:
        """See the class."""
        assert noise is not None, "integrate refuses"
        x, count = state
        h = t1 - t0
        variance = self._diffusion.variance(t1) * h * (t1 < 1)
        return (x + h * self._diffusion.drift(v, x, t0) + variance.sqrt() * noise(count, x), count + 1)
