"""What every solver declares, measured; and what adaptive ones owe to each picture of a chunk."""

import math

import pytest
import torch
from torch import Tensor
from torchdiffeq import odeint

from rope_dit.errors import UserError
from rope_dit.grids.uniform import uniform
from rope_dit.registry import SOLVERS
from rope_dit.samplers.base import Noise, Solver, State, Velocity
from rope_dit.samplers.dopri5 import Dopri5
from rope_dit.samplers.sampler import Sampler
from rope_dit.samplers.spec import SamplerSpec

ADAPTIVE = [entry.name for entry in SOLVERS if entry.claims.get("adaptive")]
FIXED = [name for name in SOLVERS.names() if name not in ADAPTIVE]
ORDERED = [entry.name for entry in SOLVERS if entry.claims.get("order")]
DETERMINISTIC = ORDERED + ADAPTIVE  # the others need noise
SHAPE = (3, 2, 4, 5)


def noise(step: int, x: Tensor) -> Tensor:
    return torch.full_like(x, 0.1 * step)


def solve(name: str, v: Velocity, x: Tensor, steps: int = 1) -> Tensor:
    return Sampler(SOLVERS.load(name)(), uniform(steps))(v, x, noise)


def swing(x: Tensor, t: Tensor) -> Tensor:
    """Velocity cos(4t) x, which leads from x to x exp(sin(4)/4)."""
    return torch.cos(4 * t) * x


def picture_batch(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.linspace(-2, 2, math.prod(SHAPE), dtype=dtype).view(SHAPE)


class Recorded:
    """A velocity that remembers the times it was asked about."""

    def __init__(self, v: Velocity):
        self.v = v
        self.times: list[float] = []

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        assert t.dim() == 0
        self.times.append(float(t))
        return self.v(x, t)


@pytest.mark.parametrize("name", SOLVERS.names())
def test_the_declarations_in_the_file_are_those_of_the_class(name):
    """The registry reads the class's own body only: an inherited number of evaluations would be lost."""
    solver, claims = SOLVERS.load(name), SOLVERS[name].claims
    for key in ("order", "evals_per_step", "start_evals", "adaptive"):
        assert getattr(solver, key) == claims.get(key, getattr(Solver, key)), key


@pytest.mark.parametrize("name", ORDERED)
def test_converges_at_the_declared_order(name):
    x = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    exact = math.exp(math.sin(4) / 4)
    coarse, fine = (abs(solve(name, swing, x, steps).item() - exact) for steps in (256, 512))
    measured, declared = math.log2(coarse / fine), SOLVERS[name].claims["order"]
    assert abs(measured - declared) < 0.1, f"{name}: measured {measured:.2f}, declares {declared}"


@pytest.mark.parametrize("steps", [1, 7])
@pytest.mark.parametrize("name", FIXED)
def test_evaluates_as_often_as_declared(name, steps):
    v = Recorded(swing)
    solve(name, v, picture_batch(), steps)
    if SOLVERS[name].claims["evals_per_step"] is None:
        pytest.skip("declares no number of evaluations")
    assert len(v.times) == SamplerSpec.parse(f"{name}:steps={steps}").nfe


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.parametrize("name", SOLVERS.names())
def test_asks_only_about_times_from_0_to_1(name, slow):
    """torchdiffeq by itself asks dopri5's velocity at t = 1.4, and at t = 10 where x hardly moves."""
    v = Recorded(lambda x, t: 1e-3 * x if slow else swing(x, t))
    solve(name, v, picture_batch(torch.float32), 5)
    assert min(v.times) == 0
    assert max(v.times) <= 1


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_straight_paths_are_exact_in_one_step(name):
    """Velocities that stay constant along each path; the second depends on x and t nonetheless."""
    x0 = picture_batch()
    offset = x0.flip(0)
    torch.testing.assert_close(solve(name, lambda x, t: offset, x0), x0 + offset, rtol=0, atol=1e-12)
    torch.testing.assert_close(solve(name, lambda x, t: x / (1 + t), x0), 2 * x0, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", SOLVERS.names())
def test_keeps_type_and_shape_and_leaves_its_input_alone(name, dtype):
    x = picture_batch(dtype)
    with torch.inference_mode():
        end = solve(name, lambda x, t: swing(x, t).to(dtype), x, 2)
    assert (end.dtype, end.shape) == (dtype, x.shape)
    assert end.isfinite().all()
    assert torch.equal(x, picture_batch(dtype))


@pytest.mark.parametrize("name", FIXED)
def test_a_picture_does_not_depend_on_its_mates(name):
    x = picture_batch(torch.float32)
    together = solve(name, swing, x, 5)
    for i in range(len(x)):
        torch.testing.assert_close(solve(name, swing, x[i : i + 1], 5)[0], together[i], rtol=0, atol=1e-6)


# Adaptive solvers. Picture i swings at its own rate: v = w cos(w t) x leads from 1 to exp(sin w).
HARD, EASY = 20.0, 3.0


def errors(solver: Solver, rates: list[float]) -> Tensor:
    """Error of each picture at t=1, float64 [B]."""
    w = torch.tensor(rates, dtype=torch.float64).view(-1, 1, 1, 1)
    x = torch.ones(len(rates), 1, 4, 4, dtype=torch.float64)

    def v(x: Tensor, t: Tensor) -> Tensor:
        return w * torch.cos(w * t) * x

    return (solver.integrate(v, x, uniform(1)) - w.sin().exp()).abs().flatten(1).amax(1)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_a_hard_picture_among_many_easy_ones_is_as_exact_as_alone(name):
    solver = SOLVERS.load(name)()
    alone = errors(solver, [HARD])[0]
    assert alone < 5e-3
    for easy in (0.0, EASY):
        assert errors(solver, [*[easy] * 63, HARD])[63] <= 1.01 * alone


@pytest.mark.parametrize("name", ADAPTIVE)
def test_an_easy_picture_among_hard_ones_is_as_exact_as_alone(name):
    solver = SOLVERS.load(name)()
    assert errors(solver, [EASY, *[HARD] * 63])[0] <= 1.01 * errors(solver, [EASY])[0]


class MeanNorm(Solver):
    """dopri5 at the same tolerances with torchdiffeq's own norm, a mean over the chunk."""

    def integrate(self, v: Velocity, x: Tensor, times: Tensor, noise: Noise | None = None) -> Tensor:
        return odeint(lambda t, x: v(x, t), x, times, rtol=1e-4, atol=1e-4, method="dopri5")[-1]


def test_the_norm_of_torchdiffeq_would_lose_the_hard_picture():
    assert errors(MeanNorm(), [*[0.0] * 63, HARD])[63] > 5 * errors(Dopri5(), [*[0.0] * 63, HARD])[63]


@pytest.mark.parametrize("name", ADAPTIVE)
def test_a_smaller_tolerance_gives_a_smaller_error(name):
    build = SOLVERS.load(name)
    loose, tight = (errors(build(rtol=tol, atol=tol), [HARD])[0] for tol in (1e-3, 1e-6))
    assert tight < loose / 50


@pytest.mark.parametrize("name", ADAPTIVE)
def test_a_velocity_that_is_not_finite_in_one_picture_ends_the_sampling(name):
    broken = torch.tensor([1.0, math.nan, 1.0]).view(3, 1, 1, 1)
    with pytest.raises(FloatingPointError, match="not finite"):
        solve(name, lambda x, t: broken * x, picture_batch(torch.float32))


def test_dopri5_hides_no_other_failure():
    def v(x: Tensor, t: Tensor) -> Tensor:
        raise AssertionError("guidance needs a model with a null class")

    with pytest.raises(AssertionError, match="null class"):
        solve("dopri5", v, picture_batch())


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
    torch.testing.assert_close(end, x + 1 + 0.1 * (0 + 1 + 2), rtol=0, atol=1e-12)
