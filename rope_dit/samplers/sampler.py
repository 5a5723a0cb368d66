"""A solver with its times."""

from dataclasses import dataclass

from torch import Tensor

from rope_dit.samplers.base import Noise, Solver, Velocity


@dataclass(frozen=True, eq=False)
class Sampler:
    """Carries noise to data: `sampler(velocity, noise)` returns x at t=1.

    `times`, float64 [steps + 1], stay on the CPU: as numbers in device code they cost no synchronisation.
    """

    solver: Solver
    times: Tensor

    def __call__(self, v: Velocity, x: Tensor, noise: Noise | None = None) -> Tensor:
        """Integrate from noise x [B, C, H, W] at t=0 to t=1; x keeps its type, whatever that of the times."""
        return self.solver.integrate(v, x, self.times, noise)
