"""Euler's method for a stochastic differential equation."""

from rope_dit.errors import check
from rope_dit.registry import SOLVERS
from rope_dit.samplers.sde import SDE


@SOLVERS.register("euler_maruyama")
class EulerMaruyama(SDE):
    """Euler-Maruyama: a step of Euler that adds noise and takes as much away; churn 0 is Euler.

    At every time x is distributed as the ODE's (SiT, arXiv:2401.08740, where the diffusion w is free):

        dx = (v + w/2 s) dt + sqrt(w) dW,   score s = (t v - x) / (1 - t),   w = churn (1 - t).

    The score follows from x = t x1 + (1 - t) x0 with x0 normal: s = -E[x0 | x] / (1 - t), and as
    v = E[x1 - x0 | x], x = t v + E[x0 | x]. With this w nothing is singular at t = 1: w/2 s is
    churn/2 (t v - x). This is `sde` with schedule=linear and scale=churn; the name stays because scores are
    called by it.

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
        super().__init__(schedule="linear", scale=churn)
        self.churn = churn
