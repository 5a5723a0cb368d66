"""What single solvers promise, and that others fit the interface; contract_samplers.py holds what all owe."""

import math

import pytest
import torch
from contract_samplers import HARD, Recorded, errors, errors_of_moments, noise, picture_batch, swing
from torch import Tensor
from torchdiffeq import odeint

from rope_dit.errors import UserError
from rope_dit.grids.uniform import uniform
from rope_dit.samplers.base import Noise, Solver, State, Velocity
from rope_dit.samplers.dopri5 import Dopri5
from rope_dit.samplers.euler import Euler
from rope_dit.samplers.euler_maruyama import EulerMaruyama
from rope_dit.samplers.sampler import Sampler


class MeanNorm(Solver):
    """dopri5 at the same tolerances with torchdiffeq's own norm, a mean over the chunk."""

    def integrate(self, v: Velocity, x: Tensor, times: Tensor, noise: Noise | None = None) -> Tensor:
        return odeint(lambda t, x: v(x, t), x, times, rtol=1e-4, atol=1e-4, method="dopri5")[-1]


def test_the_norm_of_torchdiffeq_would_lose_the_hard_picture():
    assert errors(MeanNorm(), [*[0.0] * 63, HARD])[63] > 5 * errors(Dopri5(), [*[0.0] * 63, HARD])[63]


def test_dopri5_hides_no_other_failure():
    def v(x: Tensor, t: Tensor) -> Tensor:
        raise AssertionError("guidance needs a model with a null class")

    with pytest.raises(AssertionError, match="null class"):
        Dopri5().integrate(v, picture_batch(), uniform(1))


@pytest.mark.parametrize("option", ["rtol", "atol"])
@pytest.mark.parametrize("value", [0.0, -1e-4, 1e-10, 2.0, math.nan])
def test_dopri5_refuses_tolerances_that_cannot_be_met(option, value):
    with pytest.raises(UserError, match=f"dopri5: option '{option}' got"):
        Dopri5(**{option: value})


class AdamsBashforth2(Solver):
    """A multistep method of order 2: its state holds the velocity before; a midpoint step starts it."""

    def start(self, x: Tensor) -> State:
        return (x, None)

    def step(self, state: State, v: Velocity, t0: Tensor, t1: Tensor, noise: Noise | None) -> State:
        (x, before), h, now = state, t1 - t0, v(state[0], t0)
        slope = v(x + h / 2 * now, t0 + h / 2) if before is None else 1.5 * now - 0.5 * before
        return (x + h * slope, now)


class Walk(Solver):
    """A stochastic method: its state counts steps, and its last noise is taken back at the end."""

    stochastic = True

    def start(self, x: Tensor) -> State:
        return (x, x, 0)

    def step(self, state: State, v: Velocity, t0: Tensor, t1: Tensor, noise: Noise | None) -> State:
        assert noise is not None
        x, _, step = state
        clean = x + (t1 - t0) * v(x, t0)
        return (clean + noise(step, x), clean, step + 1)

    def final(self, state: State) -> Tensor:
        return state[1]


def test_a_multistep_solver_fits_the_interface():
    x = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    v, exact = Recorded(swing), math.exp(math.sin(4) / 4)
    coarse, fine = (
        abs(Sampler(AdamsBashforth2(), uniform(steps))(v, x).item() - exact) for steps in (256, 512)
    )
    assert abs(math.log2(coarse / fine) - 2) < 0.1
    assert len(v.times) == 256 + 512 + 2


def test_a_stochastic_solver_fits_the_interface():
    x = picture_batch()
    end = Sampler(Walk(), uniform(4))(lambda x, t: torch.ones_like(x), x, noise)
    torch.testing.assert_close(end, x + 1 + 0.1 * (1 + 2 + 3), rtol=0, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 7])
def test_euler_maruyama_without_churn_is_euler_to_the_bit(steps):
    x, times = picture_batch(torch.float32), uniform(steps)
    assert torch.equal(
        EulerMaruyama(churn=0.0).integrate(swing, x, times, noise), Euler().integrate(swing, x, times)
    )


@pytest.mark.parametrize("churn", [0.0, 0.5, 4.0])
def test_euler_maruyama_keeps_the_distribution_at_any_churn(churn):
    coarse, fine = (sum(errors_of_moments(f"euler_maruyama:churn={churn}", steps)) for steps in (64, 512))
    assert fine < 5e-3
    assert fine < coarse / 4


def test_euler_maruyama_leaves_no_noise_in_the_picture():
    """In its last step; in one before, twice the churn is twice the variance."""
    x, last = torch.zeros(1, 1, 2, 2, dtype=torch.float64), torch.tensor([0.9, 1.0], dtype=torch.float64)

    def moved(churn: float, times: Tensor) -> float:
        made = EulerMaruyama(churn=churn)
        one = made.integrate(swing, x, times, noise)
        other = made.integrate(swing, x, times, lambda step, x: -noise(step, x))
        return (one - other).abs().max().item()

    assert moved(1.0, last) == 0
    once, twice = (moved(churn, last - 0.5) for churn in (1.0, 2.0))
    assert twice == pytest.approx(math.sqrt(2) * once)
    assert once == pytest.approx(2 * math.sqrt(0.1 * 0.5) * 0.1)


@pytest.mark.parametrize("churn", [-0.1, 101.0, math.nan])
def test_euler_maruyama_refuses_a_churn_that_makes_no_sense(churn):
    with pytest.raises(UserError, match="euler_maruyama: option 'churn' got"):
        EulerMaruyama(churn=churn)
