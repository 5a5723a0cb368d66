"""What a solver is: it carries x from noise (t=0) to data (t=1) along a velocity, and declares its cost."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x [B, C, H, W], t 0-dimensional) -> velocity [B, C, H, W]"""
Noise = Callable[[int, Tensor], Tensor]
"""(step, x) -> standard normal noise shaped as x, for stochastic solvers"""
State = tuple[Any, ...]
"""what a solver carries from step to step: first x, then its own (earlier velocities, a count of steps)"""


class Solver:
    """Base of all solvers. Options are keyword-only arguments of `__init__` with defaults.

    Declarations, written as literals in the solver's own class and measured on every registered solver:
    """

    order: int | None = None
    """global order of convergence; None for adaptive and stochastic solvers"""
    evals_per_step: int | None = None
    """velocity evaluations a step; None where it depends on the path"""
    start_evals: int = 0
    """evaluations on top of those, once, as in a multistep method's first step; -1: the last saves one"""
    adaptive: bool = False
    """chooses its own times: `steps` and `grid` mean nothing to it"""
    stochastic: bool = False
    """draws noise, which other solvers never ask for; at every time x is distributed as on the ODE's paths"""

    def start(self, x: Tensor) -> State:
        """Make the state of the first step from x [B, C, H, W]."""
        return (x,)

    def step(self, state: State, v: Velocity, t0: Tensor, t1: Tensor, noise: Noise | None) -> State:
        """Go from time t0 to t1, both 0-dimensional."""
        raise NotImplementedError(f"{type(self).__name__} takes no single steps")

    def final(self, state: State) -> Tensor:
        """Return x [B, C, H, W] from the state of the last step."""
        x: Tensor = state[0]
        return x

    def integrate(self, v: Velocity, x: Tensor, times: Tensor, noise: Noise | None = None) -> Tensor:
        """Carry x [B, C, H, W] from times[0] to times[-1] through all of `times`, float64 [steps + 1].

        Raises:
            ValueError: a stochastic solver was given no noise.
        """
        if self.stochastic and noise is None:
            raise ValueError(f"{type(self).__name__} needs noise: give a function (step, x) -> normals.")
        state = self.start(x)
        for t0, t1 in pairwise(times):
            state = self.step(state, v, t0, t1, noise)
        return self.final(state)
