"""What holds of every density: times are spread as its quantiles say."""

import torch
from other_numbers import numbers_count, others
from scipy import stats

from rope_dit.densities.base import build_density
from rope_dit.randomness import Numbers, Stream
from rope_dit.registry import DENSITIES

STEPS = torch.arange(40)


def quantiles_rise_within_bounds(spec):
    u = torch.linspace(1e-6, 1 - 1e-6, 1001, dtype=torch.float64)
    t = build_density(spec).quantile(u)
    assert t.dtype == torch.float64
    assert t.min() >= 0
    assert t.max() <= 1
    assert (t.diff() >= 0).all()


def times_are_spread_as_the_quantiles_say(spec):
    for density in (build_density(spec), *others(DENSITIES, spec, build_density).values()):
        t = density.draw(Numbers(3, Stream.TIME, STEPS), 500)
        assert t.shape == (40, 500)
        assert t.dtype == torch.float32
        expected = density.quantile((torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000)
        assert stats.ks_2samp(t.flatten().numpy(), expected.numpy()).pvalue > 1e-3


def a_step_s_times_depend_on_seed_and_step_alone(spec):
    density = build_density(spec)
    many = density.draw(Numbers(3, Stream.TIME, STEPS), 8)
    assert torch.equal(density.draw(Numbers(3, Stream.TIME, STEPS[7:8]), 8)[0], many[7])
    assert not torch.equal(density.draw(Numbers(4, Stream.TIME, STEPS[7:8]), 8)[0], many[7])


def its_numbers_count(spec):
    u = torch.linspace(0.01, 0.99, 9, dtype=torch.float64)
    numbers_count(DENSITIES, spec, lambda text: build_density(text).quantile(u).tolist())


CHECKS = [
    quantiles_rise_within_bounds,
    times_are_spread_as_the_quantiles_say,
    a_step_s_times_depend_on_seed_and_step_alone,
    its_numbers_count,
]
