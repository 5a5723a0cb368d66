"""The two-step method of Adams and Bashforth."""

from torch import Tensor

from rope_dit.registry import SOLVERS
from rope_dit.samplers.base import Noise, Solver, State, Velocity


@SOLVERS.register("ab2")
class AdamsBashforth2(Solver):
    """Adams-Bashforth, two steps: one evaluation a step, order 2, for steps of any lengths.

    The velocity along the path is taken as the line through its last two values, v0 now and v' a step of
    length h' earlier, and integrated over the step:

        x1 = x0 + h (v0 + h/2 (v0 - v') / h');   with equal steps x0 + h (3/2 v0 - 1/2 v').

    The first step, which has no earlier value, is Euler's: its error is of order h^2 once, so the order is 2
    all the same.

    Source: Adams and Bashforth; for unequal steps Hairer, Norsett and Wanner, Solving Ordinary Differential
    Equations I, section III.5.

    >>> import torch
    >>> times = torch.tensor([0.0, 0.5, 1.0])  # Euler gets 0, then 1/2 (3/2 1/2 - 1/2 0)
    >>> AdamsBashforth2().integrate(lambda x, t: t * torch.ones(1), torch.zeros(1), times).item()
    0.375
    """

    order = 2
    evals_per_step = 1

    def start(self, x: Tensor) -> State:
        """Without an earlier velocity, or the time of one."""
        return (x, None, None)

    def step(self, state: State, v: Velocity, t0: Tensor, t1: Tensor, noise: Noise | None) -> State:
        """See the class."""
        x, earlier, then = state
        h, now = t1 - t0, v(x, t0)
        if earlier is None:
            return (x + h * now, now, t0)
        return (x + h * (now + h / (2 * (t0 - then)) * (now - earlier)), now, t0)
