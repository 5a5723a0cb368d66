"""The two-step solver for data predictions of DPM-Solver++."""

from torch import Tensor

from rope_dit.registry import SOLVERS
from rope_dit.samplers.base import Noise, Solver, State, Velocity
from rope_dit.samplers.data_prediction import Data, predict


@SOLVERS.register("dpmpp2m")
class DPMSolverPP2M(Solver):
    """DPM-Solver++(2M) in its flow form: one evaluation a step, order 2 (arXiv:2211.01095).

    With alpha_t = t, sigma_t = 1 - t, lambda_t = log(t / (1 - t)), the data prediction
    x1(t) = x + (1 - t) v(x, t), h = lambda(t1) - lambda(t0) and the earlier step's h':

        x(t1) = (sigma(t1) / sigma(t0)) x(t0) - alpha(t1) (exp(-h) - 1) D,
        D = x1(t0) + h / (2 h') (x1(t0) - x1(t0 - h')),

    which is x(t0) + (t1 - t0) / (1 - t0) (D - x(t0)). Where lambda is infinite the step is of first order,
    D = x1(t0), which is a step of Euler: from t = 0, from the next time (h' is infinite), and to t = 1. So
    samplings of one, two or three steps are Euler's.

    Source: DPM-Solver++ (arXiv:2211.01095, algorithm 2), with alpha and sigma of the straight path.

    >>> import torch
    >>> times = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)  # lambda: -log 3, 0, log 3, so h = h'
    >>> v = lambda x, t: (4 * t - x) / (1 - t)  # points at 1, then 2: x = 1/3, D = 5/2
    >>> x = DPMSolverPP2M().integrate(v, torch.zeros(1, dtype=torch.float64), times)
    >>> round(x.item(), 9)  # 1/3 + 1/2 (5/2 - 1/3)
    1.416666667
    """

    order = 2
    evals_per_step = 1

    def start(self, x: Tensor) -> State:
        """Without an earlier prediction."""
        return (x, None)

    def step(self, state: State, v: Velocity, t0: Tensor, t1: Tensor, noise: Noise | None) -> State:
        """See the class."""
        x, earlier = state
        now = Data.of(x, v(x, t0), t0)
        return (predict(x, now, earlier, float(t1)), now)
