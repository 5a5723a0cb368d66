"""What a solver is: it carries x from noise (t=0) to data (t=1) along a velocity, and declares what that costs."""

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x [B, C, H, W], t 0-dimensional) -> velocity [B, C, H, W]"""
Noise = Callable[[int, Tensor], Tensor]
"""(step, x) -> standard normal noise shaped as x, for stochastic solvers"""
State = tuple[Tensor, ...]
"""what a solver carries from step to step; its first entry is x"""


class Solver:
    """Base of all solvers. Options are keyword-only arguments of `__init__` with defaults.

    Declarations, read from the class and measured on every registered solver:
    """

    order: int | None = None
    """global order of convergence; None for adaptive and stochastic solvers"""
    evals_per_step: int | None = None
    """velocity evaluations a step; None where it depends on the path"""
    start_evals: int = 0
    """evaluations before the first step"""
    adaptive: bool = False
    """chooses its own times: `steps` and `grid` mean nothing to it"""

    def start(self, x: Tensor) -> State:
        """Make the state of the first step."""
        return (x,)

    def step(self, state: State, v: Velocity, t0: Tensor, t1: Tensor, noise: Noise | None) -> State:
        """Go from time t0 to t1."""
        raise NotImplementedError(f"{type(self).__name__} takes no single steps")

    def integrate(self, v: Velocity, x: Tensor, times: Tensor, noise: Noise | None = None) -> Tensor:
        """Carry x [B, C, H, W] from times[0] to times[-1] through all of `times`, float64 [steps + 1]."""
        state = self.start(x)
        for t0, t1 in pairwise(times):
            state = self.step(state, v, t0, t1, noise)
        return state[0]
