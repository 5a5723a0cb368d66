"""Rectified flow held to its definitions: the path, its velocity, the loss, the densities of t, the draws."""

import math
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from scipy import stats
from torch import Tensor, nn

from rope_dit.config import TrainConfig
from rope_dit.densities.base import build_density
from rope_dit.draws import Draws
from rope_dit.flow import NUM_BINS, bin_sums, interpolate, loss, target
from rope_dit.objectives.velocity import Velocity
from rope_dit.randomness import Numbers, Stream
from rope_dit.registry import OBJECTIVES

CONFIG = TrainConfig(label_dropout=0.1)
SHAPE = (5, 2, 3, 4)


def pictures(seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def draw(step: int = 0, batch: int = 5, seed: int = 0, **settings: object) -> Draws:
    return tiny.draws(replace(CONFIG, **settings), seed, step, (batch, 2, 3, 4))


def test_target_is_the_derivative_of_the_path():
    noise, data, h = pictures(0), pictures(1), 1e-5
    t = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9], dtype=torch.float64)
    slope = (interpolate(noise, data, t + h) - interpolate(noise, data, t - h)) / (2 * h)
    torch.testing.assert_close(target(noise, data), slope, rtol=0, atol=1e-9)


def test_path_starts_at_noise_and_ends_at_data():
    noise, data = pictures(0), pictures(1)
    assert torch.equal(interpolate(noise, data, torch.zeros(5)), noise)
    assert torch.equal(interpolate(noise, data, torch.ones(5)), data)
    mixed = interpolate(noise, data, torch.tensor([0.0, 1.0, 0.0, 0.0, 0.25], dtype=torch.float64))
    assert torch.equal(mixed[0], noise[0])
    assert torch.equal(mixed[1], data[1])
    torch.testing.assert_close(mixed[4], 0.25 * data[4] + 0.75 * noise[4])


class Network(nn.Module):
    """Says label + 10 t everywhere, and remembers what it was asked."""

    def forward(self, x: Tensor, t_B: Tensor, labels_B: Tensor) -> Tensor:
        self.asked = x, t_B, labels_B
        return (labels_B + 10 * t_B).view(-1, 1, 1, 1).expand(x.shape)


def test_loss_is_the_mean_square_for_each_picture():
    network, noise, data = Network(), pictures(0, torch.float32), pictures(1, torch.float32)
    t, labels = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5]), torch.tensor([3, 1, 4, 1, 5])
    dropped = torch.tensor([True, False, False, True, False])
    (got,) = loss(network, Velocity(), data, labels, Draws(t, noise, dropped), null_label=9)
    assert network.asked[2].tolist() == [9, 1, 4, 9, 5]
    torch.testing.assert_close(network.asked[0], interpolate(noise, data, t))
    assert torch.equal(network.asked[1], t)
    assert got.shape == (5,)
    for i, label in enumerate([9, 1, 4, 9, 5]):
        error = (label + 10 * t[i]) - (data[i] - noise[i])
        assert float(got[i]) == pytest.approx(float(error.square().mean()), rel=1e-5)


def test_without_a_null_class_no_label_is_dropped():
    network, labels = Network(), torch.tensor([3, 1, 4, 1, 5])
    everything = Draws(torch.zeros(5), pictures(0), torch.ones(5, dtype=torch.bool))
    loss(network, Velocity(), pictures(1), labels, everything, null_label=None)
    assert network.asked[2] is labels


def test_loss_is_float32_whatever_the_network_answers():
    half = nn.Module()
    half.forward = lambda x, t, labels: torch.zeros_like(x, dtype=torch.bfloat16)
    noise, data = pictures(0, torch.float32), pictures(1, torch.float32)
    nothing = Draws(torch.zeros(5), noise, torch.zeros(5) > 1)
    (got,) = loss(half, Velocity(), data, torch.zeros(5, dtype=torch.long), nothing, None)
    torch.testing.assert_close(got, (data - noise).square().mean((1, 2, 3)), rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("density", "cdf"),
    [
        ("uniform", stats.uniform.cdf),
        ("logit_normal", lambda t: stats.norm.cdf(np.log(t / (1 - t)))),
        ("logit_normal:mean=1,std=0.5", lambda t: stats.norm.cdf(np.log(t / (1 - t)), 1, 0.5)),
        ("stratified+logit_normal:mean=1", lambda t: stats.norm.cdf(np.log(t / (1 - t)), 1)),
        ("u_shaped:a=2", lambda t: 0.5 + np.sinh(2 * t - 1) / (2 * np.sinh(1))),
    ],
)
def test_density_of_t(density, cdf):
    numbers = Numbers(0, Stream.TIME, torch.arange(40))
    t = build_density(density).draw(numbers, 1000).flatten().double().numpy()
    assert 0 < t.min() < t.max() < 1
    assert stats.kstest(t, cdf).pvalue > 1e-3


def test_both_densities_rank_the_pictures_by_draws_of_their_own_but_share_the_noise():
    uniform, logit_normal = draw(density="uniform"), draw(density="logit_normal")
    assert not torch.equal(uniform.t_B, logit_normal.t_B)
    assert torch.equal(uniform.noise_BCHW, logit_normal.noise_BCHW)


@pytest.mark.parametrize("density", ["uniform", "logit_normal"])
def test_noise_is_standard_normal_and_nothing_is_drawn_twice(density):
    config = replace(CONFIG, density=density, label_dropout=0.5)
    many = tiny.draws(config, 0, 0, (10_000, 2, 3, 4), moves=1)
    noise, t, drop = many.noise_BCHW.numpy(), many.t_B.numpy(), many.drop_B.numpy()
    place = many.moves_BN[:, 0].numpy()
    assert stats.kstest(noise.ravel(), "norm").pvalue > 1e-3
    for a, b in (
        (t, noise[:, 0, 0, 0]),
        (t, noise.ravel()[:10_000]),
        (t, drop),
        (noise.ravel()[:10_000], drop),
        (place, t),
        (place, drop),
        (place, noise.ravel()[:10_000]),
    ):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / math.sqrt(10_000)


@pytest.mark.parametrize(
    "share", [0.1, pytest.param(0.0, marks=pytest.mark.slow), pytest.param(0.5, marks=pytest.mark.slow)]
)
def test_labels_are_dropped_for_single_pictures(share):
    dropped = torch.stack([draw(step, 100, label_dropout=share).drop_B for step in range(100)])
    assert abs(float(dropped.float().mean()) - share) < 5 * math.sqrt(max(share * (1 - share), 1e-9) / 10_000)
    if share:
        counts = dropped.sum(1).float()  # binomial: not all or nothing for a batch
        assert float(counts.var()) == pytest.approx(100 * share * (1 - share), rel=0.5)


def same(a: Draws, b: Draws) -> bool:
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("t_B", "noise_BCHW", "drop_B"))


def test_draws_are_functions_of_seed_and_step():
    later = draw(step=7)
    draw(step=3), torch.rand(5)
    assert same(draw(step=7), later)
    for other in (draw(step=8), draw(step=7, seed=1)):
        assert not torch.equal(other.t_B, later.t_B)
        assert not torch.equal(other.noise_BCHW, later.noise_BCHW)
    assert draw(step=7).t_B.dtype == draw(step=7).noise_BCHW.dtype == torch.float32


def test_a_larger_batch_begins_with_the_same_pictures():
    small, large = draw(batch=3), draw(batch=8)
    assert torch.equal(large.t_B[:3], small.t_B)
    assert torch.equal(large.noise_BCHW[:3], small.noise_BCHW)
    assert torch.equal(large.drop_B[:3], small.drop_B)


def test_bin_sums():
    t = torch.tensor([0.0, 0.05, 0.1, 0.95, 0.999999, 1.0])
    got = bin_sums(torch.tensor([[1.0, 2.0, 4.0, 8.0, 16.0, 32.0]], requires_grad=True), t)
    assert got.shape == (2, NUM_BINS)
    assert not got.requires_grad
    assert got[0].tolist() == [3, 4, 0, 0, 0, 0, 0, 0, 0, 56]
    assert got[1].tolist() == [2, 1, 0, 0, 0, 0, 0, 0, 0, 3]


def test_a_bad_loss_stays_in_its_bin():
    got = bin_sums(torch.tensor([[math.nan, 2.0]]), torch.tensor([0.05, 0.55]))
    assert got[0, 0].isnan()
    assert got[0, 1:].sum() == 2


@pytest.mark.gpu
def test_cuda_draws_the_same_bits():
    for density in ("uniform", "logit_normal"):
        config = replace(CONFIG, density=density)
        cpu, cuda = (tiny.draws(config, 3, 11, (4096, 1, 4, 4), device=d) for d in ("cpu", "cuda"))
        assert torch.equal(cpu.t_B, cuda.t_B.cpu())
        assert torch.equal(cpu.noise_BCHW, cuda.noise_BCHW.cpu())
        assert torch.equal(cpu.drop_B, cuda.drop_B.cpu())


def test_whoever_predicts_noise_exactly_has_no_velocity_where_there_is_nothing_else():
    noise, t_B = pictures(0), torch.zeros(5, dtype=torch.float64)
    for spec in ("noise", "noise:loss=velocity,clamp=0.5"):
        assert torch.equal(OBJECTIVES.bind(spec)().velocity(noise, noise, t_B), torch.zeros_like(noise))
