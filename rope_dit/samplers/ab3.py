"""The three-step method of Adams and Bashforth."""

from torch import Tensor

from rope_dit.registry import SOLVERS
from rope_dit.samplers.base import Noise, Solver, State, Velocity


@SOLVERS.register("ab3")
class AdamsBashforth3(Solver):
    """Adams-Bashforth, three steps: one evaluation a step and one more, order 3, for steps of any lengths.

    The velocity along the path is taken as the parabola through its last three values, at t0, t0 - h' and
    t0 - h' - h'', and integrated over the step. With divided differences d = (v0 - v') / h',
    d' = (v' - v'') / h'' and e = (d - d') / (h' + h''):

        x1 = x0 + h (v0 + h/2 d + h (h/3 + h'/2) e);   with equal steps x0 + h (23 v0 - 16 v' + 5 v'') / 12.

    The first step is Heun's (two evaluations), the second that of ab2 (e = 0): both have errors of order h^3,
    once, so the order is 3 all the same.

    Source: Adams and Bashforth; for unequal steps Hairer, Norsett and Wanner, Solving Ordinary Differential
    Equations I, section III.5.

    >>> import torch
    >>> times = torch.tensor([0.0, 1.0, 2.0, 3.0])  # of 12 t^2, Heun 6, ab2 18, ab3 23 4 - 16 1 + 5 0
    >>> AdamsBashforth3().integrate(lambda x, t: 12 * t**2, torch.zeros(1), times)
    tensor([100.])
    """

    order = 3
    evals_per_step = 1
    start_evals = 1

    def start(self, x: Tensor) -> State:
        """Without earlier velocities: (x, last velocity, its time, the slope that it ended, h')."""
        return (x, None, None, None, None)

    def step(self, state: State, v: Velocity, t0: Tensor, t1: Tensor, noise: Noise | None) -> State:
        """See the class."""
        x, earlier, then, before, longer = state
        h, now = t1 - t0, v(x, t0)
        if earlier is None:
            return (x + h / 2 * (now + v(x + h * now, t1)), now, t0, None, None)
        last = t0 - then
        slope = (now - earlier) / last
        mean = now + h / 2 * slope
        if before is not None:
            mean = mean + h * (h / 3 + last / 2) / (last + longer) * (slope - before)
        return (x + h * mean, now, t0, slope, last)
