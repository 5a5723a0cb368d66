"""Euler's method for a stochastic differential equation."""

from torch import Tensor

from rope_dit.errors import check
from rope_dit.registry import SOLVERS
from rope_dit.samplers.base import Noise, Solver, State, Velocity


@SOLVERS.register("euler_maruyama")
class EulerMaruyama(Solver):
    """Euler-Maruyama: a step of Euler that adds noise and takes as much away; churn 0 is Euler.

    At every time x is distributed as the ODE's (SiT, arXiv:2401.08740, where the diffusion w is free):

        dx = (v + w/2 s) dt + sqrt(w) dW,   score s = (t v - x) / (1 - t),   w = churn (1 - t).

    The score follows from x = t x1 + (1 - t) x0 with x0 normal: s = -E[x0 | x] / (1 - t), and as
    v = E[x1 - x0 | x], x = t v + E[x0 | x]. With this w nothing is singular at t = 1: w/2 s is
    churn/2 (t v - x). `sde` holds this one as schedule=linear, to the bit, and has other diffusions and a
    relative of second order; this name stays because scores are called by it.

    Source: SiT (arXiv:2401.08740), where the diffusion w is free; this w is this project's.

    >>> import torch
    >>> half = torch.tensor([0.5, 1.0], dtype=torch.float64)  # 4 + 1/2 (1 + 1/2 (1/2 - 4)), no noise at 1
    >>> x = torch.full((1,), 4.0, dtype=torch.float64)
    >>> EulerMaruyama().integrate(lambda x, t: torch.ones_like(x), x, half, lambda step, x: x).item()
    3.625
    """

    order = None
    evals_per_step = 1
    stochastic = True

    def __init__(self, *, churn: float = 1.0):
        # 100 takes all of x away in each of 50 steps; more would swing ever wider
        check(0 <= churn <= 100, "euler_maruyama: option 'churn'", churn, "a number from 0 to 100")
        self.churn = churn

    def start(self, x: Tensor) -> State:
        """Count steps: each has noise of its own."""
        return (x, 0)

    def step(self, state: State, v: Velocity, t0: Tensor, t1: Tensor, noise: Noise | None) -> State:
        """x + h (v + churn/2 (t0 v - x)) + sqrt(churn (1 - t1) h) noise, with v = v(x, t0).

        The noise is that of the step's end, so that the last step leaves none in the picture.
        """
        assert noise is not None, "integrate refuses"
        x, count = state
        h, now = t1 - t0, v(x, t0)
        drift = now + self.churn / 2 * (t0 * now - x)
        return (x + h * drift + (self.churn * (1 - t1) * h).sqrt() * noise(count, x), count + 1)
