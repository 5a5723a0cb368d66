"""Dormand and Prince's adaptive method, from torchdiffeq."""

from torch import Tensor

from rope_dit.config import check
from rope_dit.registry import SOLVERS
from rope_dit.samplers.base import Noise, Solver, Velocity


@SOLVERS.register("dopri5")
class Dopri5(Solver):
    """Dormand-Prince 5(4): chooses its steps so that the error of every picture stays within rtol and atol.

    The pictures of a chunk share their steps. torchdiffeq's own norm is a mean over the chunk, in which one hard
    picture among easy ones gets lost; here the worst picture decides.
    """

    adaptive = True

    def __init__(self, *, rtol: float = 1e-4, atol: float = 1e-4):
        check(rtol > 0, "dopri5: option 'rtol'", rtol, "a number above 0")
        check(atol > 0, "dopri5: option 'atol'", atol, "a number above 0")
        self.rtol, self.atol = rtol, atol

    def integrate(self, v: Velocity, x: Tensor, times: Tensor, noise: Noise | None = None) -> Tensor:
        """Carry x from times[0] to times[-1]; the times between are not used."""
        from torchdiffeq import odeint

        ends = times[[0, -1]].to(x)
        path: Tensor = odeint(
            lambda t, x: v(x, t), x, ends, rtol=self.rtol, atol=self.atol, method="dopri5", options={"norm": worst_rms}
        )
        return path[-1]


def worst_rms(x: Tensor) -> Tensor:
    """Largest root-mean-square over pictures [B, ...]; torchdiffeq asks for the size of scalars too."""
    return x.abs() if x.dim() == 0 else x.square().flatten(1).mean(1).sqrt().max()
