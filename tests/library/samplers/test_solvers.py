"""Which methods the solvers are: what they do exactly, and what others compute by the same name."""

import math
from itertools import pairwise

import pytest
import torch
from contract_samplers import errors_of_moments, noise, picture_batch, swing
from torch import Tensor
from torchdiffeq import odeint

from rope_dit.errors import UserError
from rope_dit.grids.shifted import shifted
from rope_dit.grids.uniform import uniform
from rope_dit.registry import SOLVERS
from rope_dit.samplers.data_prediction import Data, lam
from rope_dit.samplers.diffusions import MOST
from rope_dit.samplers.euler import Euler
from rope_dit.samplers.euler_maruyama import EulerMaruyama
from rope_dit.samplers.rk4 import RK4
from rope_dit.samplers.sde import SDE
from rope_dit.samplers.sde_heun import SDEHeun
from rope_dit.samplers.unipc2 import correct, means


def curved(x: Tensor, t: Tensor) -> Tensor:
    return torch.cos(4 * t) * x + torch.sin(x) / 10


def solved(name: str, times: Tensor) -> Tensor:
    end: Tensor = SOLVERS.load(name)().integrate(curved, picture_batch(), times)
    return end


@pytest.mark.parametrize("grid", [uniform, shifted])
@pytest.mark.parametrize(
    ("name", "theirs"), [("euler", "euler"), ("midpoint", "midpoint"), ("heun", "heun2")]
)
def test_agrees_with_torchdiffeq(name, theirs, grid):
    expected = odeint(lambda t, x: curved(x, t), picture_batch(), grid(7), method=theirs)[-1]
    torch.testing.assert_close(solved(name, grid(7)), expected, rtol=0, atol=1e-13)


def test_the_rk4_of_torchdiffeq_is_the_rule_of_three_eighths():
    theirs = odeint(lambda t, x: curved(x, t), picture_batch(), uniform(1), method="rk4")[-1]
    x, t = picture_batch(), torch.tensor([0, 1 / 3, 2 / 3, 1], dtype=torch.float64)
    k1 = curved(x, t[0])
    k2 = curved(x + k1 / 3, t[1])
    k3 = curved(x + k2 - k1 / 3, t[2])
    k4 = curved(x + k1 - k2 + k3, t[3])
    torch.testing.assert_close(theirs, x + (k1 + 3 * k2 + 3 * k3 + k4) / 8, rtol=0, atol=1e-13)
    assert (RK4().integrate(curved, x, uniform(1)) - theirs).abs().max() > 1e-3


@pytest.mark.parametrize("grid", [uniform, shifted])
@pytest.mark.parametrize(("name", "degree"), [("ab2", 1), ("ab3", 2)])
def test_adams_and_bashforths_are_exact_where_the_velocity_is_a_polynomial_of_t(name, degree, grid):
    """From the step on in which they have all their values; of equal steps and of others."""
    made, times, x = SOLVERS.load(name)(), grid(6), torch.ones(1, dtype=torch.float64)

    def missed(power: int) -> list[float]:
        state, found = made.start(x), []
        for t0, t1 in pairwise(times):
            before = made.final(state)
            state = made.step(state, lambda x, t: (power + 1) * t**power * torch.ones_like(x), t0, t1, None)
            found.append((made.final(state) - before - (t1 ** (power + 1) - t0 ** (power + 1))).item())
        return found[degree:]

    for power in range(degree + 1):
        assert missed(power) == pytest.approx([0] * len(missed(power)), abs=1e-14)
    assert min(map(abs, missed(degree + 1))) > 1e-5


@pytest.mark.parametrize("name", ["dpmpp2m", "unipc2"])
def test_solvers_of_data_predictions_start_and_end_as_euler_does(name):
    """lambda is infinite at 0 and at 1, and what is known of t = 0 tells the second step nothing."""
    for steps in (1, 2, 3, 4):
        differs = (solved(name, uniform(steps)) - solved("euler", uniform(steps))).abs().max()
        if steps <= (3 if name == "dpmpp2m" else 2):  # unipc2 has corrected the first step by then
            assert differs < 1e-13
        else:
            assert differs > 1e-3


def test_unipc_corrects_with_exact_means():
    """Of s and s^2 with weights exp(h s) on [0, 1]; at h = 0.01 the formula changes."""
    s, weight = (torch.linspace(0, 1, 200_001, dtype=torch.float64) for _ in range(2))
    for h in (1e-6, 0.00999, 0.0101, 0.5, 5.0):
        weight = torch.exp(h * s)
        integral = torch.trapezoid(weight, s)
        expected = [(torch.trapezoid(weight * s**k, s) / integral).item() for k in (1, 2)]
        assert means(h) == pytest.approx(expected, abs=1e-9)


def test_unipc_corrects_exactly_where_data_is_a_parabola_in_lambda():
    """Against the integral that the correction stands for, one step three times the other."""

    def data(at: Tensor) -> Tensor:
        return 1 + 2 * at + 3 * at**2

    before, last, now = (torch.tensor([at], dtype=torch.float64) for at in (-0.5, 1.0, 1.5))
    times = [torch.sigmoid(at) for at in (before, last, now)]
    points = torch.linspace(1.0, 1.5, 100_001, dtype=torch.float64)
    integral = torch.trapezoid(points.exp() * data(points), points)
    x = torch.tensor([0.3], dtype=torch.float64)
    exact = (1 - times[2]) / (1 - times[1]) * x + (1 - times[2]) * integral
    known = [Data(data(at), time.item()) for at, time in zip((before, last, now), times, strict=True)]
    torch.testing.assert_close(correct(x, known[2], known[1], known[0]), exact, rtol=0, atol=1e-9)


@pytest.mark.slow  # importing diffusers takes ten seconds
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its calls of numpy
@pytest.mark.parametrize("name", ["dpmpp2m", "unipc2"])
def test_agrees_with_diffusers(name):
    from diffusers import DPMSolverMultistepScheduler, UniPCMultistepScheduler

    options = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "solver_order": 2}
    options |= {"final_sigmas_type": "sigma_min", "lower_order_final": False}
    theirs = {"dpmpp2m": DPMSolverMultistepScheduler, "unipc2": UniPCMultistepScheduler}[name](**options)
    x, times = picture_batch(), 0.1 + 0.8 * shifted(7)
    theirs.set_timesteps(7)
    theirs.sigmas, theirs.timesteps = (
        1 - times,
        torch.arange(7),
    )  # its sigma is our 1 - t, its velocity ours, back
    for i in range(7):
        x = theirs.step(-curved(x, times[i]), theirs.timesteps[i], x).prev_sample
    torch.testing.assert_close(solved(name, times), x, rtol=0, atol=1e-6)
    assert (solved("euler", times) - x).abs().max() > 1e-3


# Stochastic solvers


@pytest.mark.parametrize("churn", [0.0, 0.5, 4.0])
def test_sde_holds_euler_maruyama_to_the_bit(churn):
    x = picture_batch(torch.float32)
    one, other = (
        made.integrate(curved, x, shifted(7), noise)
        for made in (EulerMaruyama(churn=churn), SDE(scale=churn))
    )
    assert torch.equal(one, other)


@pytest.mark.parametrize("schedule", list(MOST))
def test_without_diffusion_they_are_euler_and_heun(schedule):
    x, times = picture_batch(), uniform(7)
    made = SDE(schedule=schedule, scale=0.0)
    assert torch.equal(made.integrate(curved, x, times, noise), Euler().integrate(curved, x, times))
    most, heun = times[:-1], SOLVERS.load("heun")()
    made_heun = SDEHeun(schedule=schedule, scale=0.0)
    torch.testing.assert_close(
        made_heun.integrate(curved, x, most, noise), heun.integrate(curved, x, most), rtol=0, atol=1e-14
    )


@pytest.mark.parametrize("solver", ["sde", "sde_heun"])
@pytest.mark.parametrize("schedule", list(MOST))
@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_the_distribution_is_kept_at_any_diffusion(solver, schedule, scale):
    text = f"{solver}:schedule={schedule},scale={scale}"
    coarse, fine = (sum(errors_of_moments(text, steps)) for steps in (64, 512))
    assert fine < 1e-2
    assert fine < coarse / 4


def test_stochastic_heun_is_of_second_order_in_distribution():
    """Where w does not vanish at the end too, but for the last step, which adds no noise."""
    for schedule, order in (("linear", 2), ("sine", 2)):
        text = f"sde_heun:schedule={schedule}"
        coarse, fine = (sum(errors_of_moments(text, steps)) for steps in (128, 512))
        assert math.log2(coarse / fine) / 2 == pytest.approx(order, abs=0.2)
        euler = text.replace("_heun", "")
        coarse, fine = (sum(errors_of_moments(euler, steps)) for steps in (128, 512))
        assert math.log2(coarse / fine) / 2 == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("solver", [SDE, SDEHeun])
@pytest.mark.parametrize("schedule", list(MOST))
def test_the_last_step_adds_no_noise_and_others_as_much_as_the_schedule_says(solver, schedule):
    x, last = torch.zeros(1, 1, 2, 2, dtype=torch.float64), torch.tensor([0.9, 1.0], dtype=torch.float64)

    def spread(times: Tensor) -> float:
        made = solver(schedule=schedule, scale=2.0)
        ends = [made.integrate(lambda x, t: 0 * x, x, times, lambda step, x, s=s: s + 0 * x) for s in (1, -1)]
        return ((ends[0] - ends[1]) / 2).max().item()

    assert spread(last) == 0
    at = {"linear": lambda t: 1 - t, "constant": lambda t: 1, "sine": lambda t: math.sin(math.pi * t) ** 2}
    h = 1e-4
    early = torch.tensor([0.4, 0.4 + h], dtype=torch.float64)
    assert spread(early) == pytest.approx(math.sqrt(2 * at[schedule](0.4) * h), rel=1e-3)


@pytest.mark.parametrize("solver", [SDE, SDEHeun])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": -0.1}, "option 'scale' got -0.1, expected a number from 0 to 100 with schedule=linear."),
        ({"scale": math.nan}, "option 'scale' got nan, expected"),
        ({"scale": 101.0, "schedule": "sine"}, "got 101.0, expected a number from 0 to 100"),
        (
            {"scale": 5.0, "schedule": "constant"},
            "got 5.0, expected a number from 0 to 4 with schedule=constant",
        ),
        ({"schedule": "cosine"}, "option 'schedule' got 'cosine', expected one of linear, constant, sine."),
    ],
)
def test_what_makes_no_diffusion_is_refused(solver, options, message):
    with pytest.raises(UserError) as caught:
        solver(**options)
    assert message in str(caught.value)
    assert len(str(caught.value)) <= 200


def test_lambda_is_half_the_log_of_the_signal_to_noise_ratio():
    assert lam(0.8) == pytest.approx(math.log((0.8 / 0.2) ** 2) / 2)


def test_a_velocity_points_at_a_picture_that_a_whole_step_reaches():
    x = torch.zeros(1, dtype=torch.float64)
    end = SOLVERS.load("dpmpp2m")().integrate(lambda x, t: (3 - x) / (1 - t), x, uniform(4))
    assert end.item() == pytest.approx(3, abs=1e-14)
    assert swing(x, torch.tensor(0.0)).item() == 0
