"""What every solver declares, measured; what adaptive and stochastic ones owe to their pictures."""

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from rope_dit.grids.shifted import shifted
from rope_dit.grids.uniform import uniform
from rope_dit.registry import SOLVERS, Entry, Part
from rope_dit.samplers.base import Noise, Solver, Velocity
from rope_dit.samplers.spec import SamplerSpec

SHAPE = (3, 2, 4, 5)
CLAIMS = ("order", "evals_per_step", "start_evals", "adaptive", "stochastic")


def entry(spec: str) -> Entry:
    return SOLVERS[Part.parse(spec).name]


def solver(spec: str, **options: float) -> Solver:
    made: Solver = SOLVERS.load(entry(spec).name)(**entry(spec).resolve(Part.parse(spec)) | options)
    return made


def claimed(spec: str, *wanted: str, but: tuple[str, ...] = ()) -> None:
    """Skip a solver that makes none of the claims wanted, or one of those in `but`."""
    claims = {key for key, value in entry(spec).claims.items() if value}
    if not claims.issuperset(wanted) or claims & set(but):
        pytest.skip(f"claims {', '.join(sorted(claims & set(CLAIMS))) or 'nothing'}")


def noise(step: int, x: Tensor) -> Tensor:
    return torch.full_like(x, 0.1 * (step + 1))


def solve(spec: str, v: Velocity, x: Tensor, steps: int = 1, noise: Noise = noise) -> Tensor:
    return solver(spec).integrate(v, x, uniform(steps), noise)


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


def the_declarations_in_the_file_are_those_of_the_class(spec: str) -> None:
    """The registry reads the class's own body only: an inherited number of evaluations would be lost."""
    for key in CLAIMS:
        assert getattr(solver(spec), key) == entry(spec).claims.get(key, getattr(Solver, key)), key


def measured_order(made: Solver, grid: Callable[[int], Tensor], steps: int) -> float:
    """From `steps` and twice as many, from 0.1 to 0.9: some solvers are of lower order at the ends."""
    x, exact = torch.ones(1, 1, 1, 1, dtype=torch.float64), math.exp((math.sin(3.6) - math.sin(0.4)) / 4)
    ends = (made.integrate(swing, x, 0.1 + 0.8 * grid(n)).item() for n in (steps, 2 * steps))
    coarse, fine = (abs(end - exact) for end in ends)
    return math.log2(coarse / fine)


def converges_at_the_declared_order(spec: str) -> None:
    """On equal steps, and on steps that grow."""
    claimed(spec, "order")
    declared = entry(spec).claims["order"]
    steps = 512 if declared < 4 else 128  # the error of more is that of float64
    for grid in (uniform, shifted):
        measured = measured_order(solver(spec), grid, steps)
        assert abs(measured - declared) < 0.1, f"{spec}: measured {measured:.2f}, declares {declared}"


def evaluates_as_often_as_declared(spec: str) -> None:
    claimed(spec, "evals_per_step")
    for steps in (1, 7):
        v = Recorded(swing)
        solve(spec, v, picture_batch(), steps)
        assert len(v.times) == SamplerSpec.parse(f"{entry(spec).name}:steps={steps}").nfe


def asks_only_about_times_from_0_to_1(spec: str) -> None:
    """torchdiffeq by itself asks dopri5's velocity at t = 1.4, and at t = 10 where x hardly moves."""
    for rate in (None, 1e-3):
        v = Recorded(swing if rate is None else lambda x, t: 1e-3 * x)
        solve(spec, v, picture_batch(torch.float32), 5)
        assert min(v.times) == 0
        assert max(v.times) <= 1


def straight_paths_are_exact_in_one_step(spec: str) -> None:
    """Velocities that stay constant along each path; the second depends on x and t nonetheless."""
    claimed(spec, but=("stochastic",))
    x0 = picture_batch()
    offset = x0.flip(0)
    torch.testing.assert_close(solve(spec, lambda x, t: offset, x0), x0 + offset, rtol=0, atol=1e-12)
    torch.testing.assert_close(solve(spec, lambda x, t: x / (1 + t), x0), 2 * x0, rtol=0, atol=1e-12)


def keeps_type_and_shape_and_leaves_its_input_alone(spec: str) -> None:
    for dtype in (torch.float32, torch.float64):
        x = picture_batch(dtype)
        with torch.inference_mode():
            end = solve(spec, lambda x, t: swing(x, t).to(x.dtype), x, 2)
        assert (end.dtype, end.shape) == (dtype, x.shape)
        assert end.isfinite().all()
        assert torch.equal(x, picture_batch(dtype))


def a_picture_does_not_depend_on_its_mates(spec: str) -> None:
    claimed(spec, but=("adaptive",))
    x = picture_batch(torch.float32)
    together = solve(spec, swing, x, 5)
    for i in range(len(x)):
        torch.testing.assert_close(solve(spec, swing, x[i : i + 1], 5)[0], together[i], rtol=0, atol=1e-6)


def reads_nothing_back_from_the_device(spec: str) -> None:
    """On the device meta there is nothing to read, and nothing of another device fits."""
    claimed(spec, but=("adaptive",))  # whose times rest on the pictures
    x = picture_batch(torch.float32).to("meta")
    end = solve(spec, swing, x, 3)
    assert (end.device.type, end.shape) == ("meta", x.shape)


# Stochastic solvers


def noise_counts_where_that_is_claimed(spec: str) -> None:
    """Two steps at least: the last may add none. Others must not ask for it."""
    asked: list[int] = []

    def other(step: int, x: Tensor) -> Tensor:
        asked.append(step)
        return -noise(step, x)

    ends = [solve(spec, swing, picture_batch(), 4, draw) for draw in (noise, noise, other)]
    assert torch.equal(ends[0], ends[1])
    if entry(spec).claims.get("stochastic"):
        assert sorted(set(asked)) == [0, 1, 2, 3], "each step has noise of its own"
        assert not (ends[0] == ends[2]).any()
    else:
        assert not asked
        assert torch.equal(ends[0], solver(spec).integrate(swing, picture_batch(), uniform(4)))


def refuses_to_do_without_noise(spec: str) -> None:
    claimed(spec, "stochastic")
    with pytest.raises(ValueError, match=f"^{type(solver(spec)).__name__} needs noise"):
        solver(spec).integrate(swing, picture_batch(), uniform(2))


MEAN, SPREAD = 0.7, 0.4
"""of pictures whose pixels are normal and independent: then all that the paths meet is normal too"""


def gaussian(x: Tensor, t: Tensor) -> Tensor:
    """Exact velocity E[x1 - x0 | x] of these: x_t has mean t MEAN and variance t^2 SPREAD^2 + (1 - t)^2."""
    variance = t**2 * SPREAD**2 + (1 - t) ** 2
    return MEAN + (t * SPREAD**2 - (1 - t)) / variance * (x - t * MEAN)


def moments(spec: str, times: Tensor) -> tuple[float, float]:
    """Mean and variance at times[-1], exact: what a solver does to x and noise under this velocity is linear.

    The first picture starts at 0 without noise, and so ends at the mean; each other one has one of the normal
    numbers (its start, or the noise of one step) at 1, and ends that number's share away.
    """
    steps = len(times) - 1

    def one_at_a_time(step: int, x: Tensor) -> Tensor:
        return (torch.arange(len(x)) == step + 2).view(-1, 1, 1, 1).to(x)

    x = (torch.arange(steps + 2) == 1).view(-1, 1, 1, 1).double()
    mean, *others = solver(spec).integrate(gaussian, x, times, one_at_a_time).flatten().tolist()
    return mean, sum((other - mean) ** 2 for other in others)


def errors_of_moments(spec: str, steps: int) -> Iterator[float]:
    """At a quarter, at half, at three quarters of the way and at its end."""
    for parts in (1, 2, 3, 4):
        times = uniform(steps)[: parts * steps // 4 + 1]
        t = parts / 4
        mean, variance = moments(spec, times)
        yield abs(mean - t * MEAN)
        yield abs(variance - (t**2 * SPREAD**2 + (1 - t) ** 2))


def pictures_are_distributed_as_on_the_paths_without_noise(spec: str) -> None:
    claimed(spec, "stochastic")
    coarse, fine = (sum(errors_of_moments(spec, steps)) for steps in (64, 512))
    assert fine < 5e-3
    assert fine < coarse / 4  # an eighth at order 1


# Adaptive solvers. Picture i swings at its own rate: v = w cos(w t) x leads from 1 to exp(sin w).
HARD, EASY = 20.0, 3.0


def errors(made: Solver, rates: list[float]) -> Tensor:
    """Error of each picture at t=1, float64 [B]."""
    w = torch.tensor(rates, dtype=torch.float64).view(-1, 1, 1, 1)
    x = torch.ones(len(rates), 1, 4, 4, dtype=torch.float64)

    def v(x: Tensor, t: Tensor) -> Tensor:
        return w * torch.cos(w * t) * x

    return (made.integrate(v, x, uniform(1)) - w.sin().exp()).abs().flatten(1).amax(1)


def a_hard_picture_among_many_easy_ones_is_as_exact_as_alone(spec: str) -> None:
    claimed(spec, "adaptive")
    alone = errors(solver(spec), [HARD])[0]
    assert alone < 5e-3
    for easy in (0.0, EASY):
        assert errors(solver(spec), [*[easy] * 63, HARD])[63] <= 1.01 * alone


def an_easy_picture_among_hard_ones_is_as_exact_as_alone(spec: str) -> None:
    claimed(spec, "adaptive")
    assert errors(solver(spec), [EASY, *[HARD] * 63])[0] <= 1.01 * errors(solver(spec), [EASY])[0]


def a_smaller_tolerance_gives_a_smaller_error(spec: str) -> None:
    claimed(spec, "adaptive")
    if not {"rtol", "atol"} <= entry(spec).options.keys():
        pytest.skip("has no options rtol and atol")
    loose, tight = (errors(solver(spec, rtol=tol, atol=tol), [HARD])[0] for tol in (1e-3, 1e-6))
    assert tight < loose / 50


def a_velocity_that_is_not_finite_in_one_picture_ends_the_sampling(spec: str) -> None:
    claimed(spec, "adaptive")
    broken = torch.tensor([1.0, math.nan, 1.0]).view(3, 1, 1, 1)
    with pytest.raises(FloatingPointError, match="not finite"):
        solve(spec, lambda x, t: broken * x, picture_batch(torch.float32))


CHECKS = [
    the_declarations_in_the_file_are_those_of_the_class,
    converges_at_the_declared_order,
    evaluates_as_often_as_declared,
    asks_only_about_times_from_0_to_1,
    straight_paths_are_exact_in_one_step,
    keeps_type_and_shape_and_leaves_its_input_alone,
    a_picture_does_not_depend_on_its_mates,
    reads_nothing_back_from_the_device,
    noise_counts_where_that_is_claimed,
    refuses_to_do_without_noise,
    pictures_are_distributed_as_on_the_paths_without_noise,
    a_hard_picture_among_many_easy_ones_is_as_exact_as_alone,
    an_easy_picture_among_hard_ones_is_as_exact_as_alone,
    a_smaller_tolerance_gives_a_smaller_error,
    a_velocity_that_is_not_finite_in_one_picture_ends_the_sampling,
]
