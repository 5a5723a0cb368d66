"""Heun's method for the stochastic differential equations whose marginals are those of the flow."""

from typing import Literal

from torch import Tensor

from rope_dit.registry import SOLVERS
from rope_dit.samplers.base import Noise, Solver, State, Velocity
from rope_dit.samplers.diffusions import Diffusion


@SOLVERS.register("sde_heun")
class SDEHeun(Solver):
    """Stochastic Heun, at any diffusion: two evaluations a step, one in the last; `sde` has the equations.

    With the drift f = v + w/2 (t v - x) / (1 - t), and one noise for both halves of the step,

        e = sqrt((w(t0) + w(t1)) / 2 h) noise,  y = x0 + h f(x0, t0) + e,
        x1 = x0 + h/2 (f(x0, t0) + f(y, t1)) + e.

    The noise depends on t alone, so that this is of second order in distribution. The last step, to t = 1, is
    by the mean of the first half: x0 + h f(x0, t0), without noise, and never asks at t = 1.

    Source: SiT (arXiv:2401.08740) samples with Euler-Maruyama and stochastic Heun; this form, whose noise is
    that of the whole step and part of y, is this project's.

    >>> import torch
    >>> times = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    >>> x = torch.full((1,), 4.0, dtype=torch.float64)  # f(4, 0) = -1, y = 7/2, f(y, 1/2) = -1/2,
    >>> SDEHeun().integrate(lambda x, t: torch.ones_like(x), x, times, lambda step, x: 0 * x).item()
    3.34375

    29/8 - 9/32: the first step's mean of slopes is -3/4, and f(29/8, 1/2) = 1 + 1/2 (1/2 - 29/8) = -9/16.
    """

    order = None
    evals_per_step = 2
    start_evals = -1
    stochastic = True

    def __init__(self, *, schedule: Literal["linear", "constant", "sine"] = "linear", scale: float = 1.0):
        self.schedule, self.scale = schedule, scale
        self._diffusion = Diffusion("sde_heun", schedule, scale)

    def start(self, x: Tensor) -> State:
        """Count steps: each has noise of its own."""
        return (x, 0)

    def step(self, state: State, v: Velocity, t0: Tensor, t1: Tensor, noise: Noise | None) -> State:
        """See the class."""
        assert noise is not None, "integrate refuses"
        x, count = state
        h, last = t1 - t0, t1 >= 1
        first = self._diffusion.drift(v, x, t0)
        added = ((self._diffusion.variance(t0) + self._diffusion.variance(t1)) / 2 * h * ~last).sqrt()
        there = x + h * first + added * noise(count, x)
        if not last:
            there = there + h / 2 * (self._diffusion.drift(v, there, t1) - first)
        return (there, count + 1)
