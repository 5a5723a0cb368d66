"""Dormand and Prince's adaptive method, from torchdiffeq."""

from torch import Tensor

from rope_dit.errors import check
from rope_dit.registry import SOLVERS
from rope_dit.samplers.base import Noise, Solver, Velocity


@SOLVERS.register("dopri5")
class Dopri5(Solver):
    """Dormand-Prince 5(4): chooses its steps so that each step's error stays within rtol and atol.

    The pictures of a chunk share their steps. torchdiffeq's own norm is a mean over the chunk, in which one
    hard picture among easy ones gets lost; here the worst picture decides.

    Source: J. R. Dormand and P. J. Prince, A family of embedded Runge-Kutta formulae, 1980, by torchdiffeq.

    >>> import torch
    >>> x, ends = torch.ones(1, 1, dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64)
    >>> round(Dopri5().integrate(lambda x, t: x, x, ends).item(), 3)  # e
    2.718
    """

    order = None
    evals_per_step = None
    adaptive = True

    def __init__(self, *, rtol: float = 1e-4, atol: float = 1e-4):
        # below 1e-9 a step's error is the round-off of float32, and the steps shrink without end
        check(1e-9 <= rtol <= 1, "dopri5: option 'rtol'", rtol, "a number from 1e-9 to 1")
        check(1e-9 <= atol <= 1, "dopri5: option 'atol'", atol, "a number from 1e-9 to 1")
        self.rtol, self.atol = rtol, atol

    def integrate(self, v: Velocity, x: Tensor, times: Tensor, noise: Noise | None = None) -> Tensor:
        """Carry x [B, C, H, W] from times[0] to times[-1]; the times between are not used.

        Raises:
            FloatingPointError: the velocity is not finite, or no step is small enough for the tolerances.
        """
        from torchdiffeq import odeint

        start, end = ends = times[[0, -1]].to(x)
        # Left alone, torchdiffeq steps past the end and interpolates back, and its probe for the first step
        # may lie anywhere: the network would be asked about times it never saw. `step_t` makes it stop at the
        # end, the clamp holds the probe. The type is x's because not every device has float64.
        options = {"norm": worst_rms, "step_t": ends[1:], "dtype": x.dtype}
        try:
            path: Tensor = odeint(
                lambda t, x: v(x, t.clamp(start, end)),
                x,
                ends,
                rtol=self.rtol,
                atol=self.atol,
                method="dopri5",
                options=options,
            )
        except AssertionError as error:
            if not str(error).startswith(("underflow in dt", "non-finite")):
                raise
            raise FloatingPointError(
                "dopri5: the velocity is not finite, or too rough for these tolerances; raise rtol and atol."
            ) from None
        return path[-1]


def worst_rms(x_BCHW: Tensor) -> Tensor:
    """Largest root-mean-square of a picture."""
    return x_BCHW.square().flatten(1).mean(1).sqrt().max()
