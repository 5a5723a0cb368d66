"""UniPC of two steps for data predictions."""

import math

from torch import Tensor

from rope_dit.registry import SOLVERS
from rope_dit.samplers.base import Noise, Solver, State, Velocity
from rope_dit.samplers.data_prediction import Data, lam, predict


@SOLVERS.register("unipc2")
class UniPC2(Solver):
    """UniPC-2 in its flow form: predicts, and corrects with the next step's evaluation; order 3.

    One evaluation a step. UniP-2 predicts x(t1) as dpmpp2m does (alpha = t, sigma = 1 - t,
    lambda = log(t / (1 - t)), x1 = x + (1 - t) v, B(h) = exp(h) - 1 in the paper's signs, called B2 or bh2).
    The next step's x1, evaluated at the prediction, then corrects it by UniC-2, before that step predicts:

        x(t1) = (sigma(t1) / sigma(t0)) x(t0) - alpha(t1) (exp(-h) - 1)
                (x1(t0) + a (x1(t') - x1(t0)) / r + b (x1(t1) - x1(t0))),  r = (lambda(t') - lambda(t0)) / h,

    where a and b make the step exact for every x1 that is a parabola in lambda, through t' < t0 < t1. That is
    one order more than the predictor has; the last step is not corrected: that would cost an evaluation. In
    the first step, from t = 0 and where t' = 0 (lambda is infinite), the predictor is Euler's and the
    corrector UniC-1, a = 0 and b = 1/2. To t = 1 the predictor is of first order too.

    Source: UniPC (arXiv:2302.04867), with alpha and sigma of the straight path.

    >>> [round(weight, 4) for weight in weights(math.log(3), -2.0)]  # from means 3/2 - 1/log 3 and 0.42635
    [0.0545, 0.5353]
    """

    order = 3
    evals_per_step = 1

    def start(self, x: Tensor) -> State:
        """(predicted x, x where that step began, last prediction of x1, the one before)."""
        return (x, None, None, None)

    def step(self, state: State, v: Velocity, t0: Tensor, t1: Tensor, noise: Noise | None) -> State:
        """See the class."""
        x, begun, last, before = state
        now = Data.of(x, v(x, t0), t0)
        if last is not None:
            x = correct(begun, now, last, before)
        return (predict(x, now, last, float(t1)), x, now, last)


def correct(x: Tensor, now: Data, last: Data, before: Data | None) -> Tensor:
    """Carry x from last.t to now.t again, now that x1 is known at both."""
    change = (now.x1 - last.x1) / 2
    if before is not None and before.t > 0:
        h = lam(now.t) - lam(last.t)
        r = (lam(before.t) - lam(last.t)) / h
        a, b = weights(h, r)
        change = a / r * (before.x1 - last.x1) + b * (now.x1 - last.x1)
    return x + (now.t - last.t) / (1 - last.t) * (last.x1 + change - x)


def weights(h: float, r: float) -> tuple[float, float]:
    """The weights a and b of UniC-2: a + b and r a + b are means over the step, see `means`."""
    first, second = means(h)
    a = (first - second) / (1 - r)
    return a, first - a


def means(h: float) -> tuple[float, float]:
    """Means of s and s^2, s = (lambda - lambda(t0)) / h from 0 to 1, with weights exp(lambda), for h > 0."""
    if h < 0.01:  # where the differences below lose their digits; the next terms are below 1e-12
        return 1 / 2 + h / 12 - h**3 / 720, 1 / 3 + h / 12 + h**2 / 360 - h**3 / 720
    first = 1 / -math.expm1(-h) - 1 / h
    return first, first + (2 * first - 1) / -h
