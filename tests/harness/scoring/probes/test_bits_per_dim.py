"""Bits per dimension of flows whose density is known, and the divergence of one whose trace can be had."""

import math

import pytest
import torch
from subjects import known, subject
from torch import Tensor

from experiments.scoring.probes import probe
from experiments.scoring.probes.bits_per_dim import log_densities, with_divergence
from rope_dit.errors import UserError
from rope_dit.randomness import Stream, normal

MEAN, SD = 0.1, 0.3


def gaussian(x: Tensor, t: Tensor | float) -> Tensor:
    """The velocity of the flow from noise to numbers of this mean and deviation, all apart."""
    variance = t * t * SD**2 + (1 - t) ** 2
    return MEAN + (t * SD**2 - (1 - t)) / variance * (x - t * MEAN)


def numbers(n: int, *shape: int) -> Tensor:
    return normal(0, Stream.NOISE, torch.arange(n), torch.Size(shape).numel()).view(n, *shape)


def error(steps: int) -> float:
    """The largest of log p over some pictures, against the known density, in nats a number."""
    x = (MEAN + SD * numbers(6, 2, 3, 4)).double()
    exact = torch.distributions.Normal(MEAN, SD).log_prob(x).flatten(1).sum(1)
    found = log_densities(gaussian, x, torch.ones(1, *x.shape, dtype=torch.float64), steps)
    return (found - exact).abs().max().item() / 24


def test_a_gaussian_flow_has_its_density_and_the_error_falls_by_the_square_of_the_steps():
    assert error(50) < 0.002
    assert math.log2(error(50) / error(100)) == pytest.approx(2, abs=0.1)


def test_coupled_dimensions_by_their_matrix():
    """x' = A x with A nilpotent but for its diagonal: x1 = expm(A) x0, and all vectors of signs are taken."""
    a = torch.tensor([[0.5, 2.0], [0.0, -0.3]], dtype=torch.float64)
    x = numbers(5, 1, 1, 2).double()
    signs = (
        torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
        .double()
        .view(4, 1, 1, 1, 2)
        .expand(-1, 5, -1, -1, -1)
    )
    whole = torch.matrix_exp(a)
    there = torch.distributions.MultivariateNormal(torch.zeros(2).double(), whole @ whole.T)
    found = log_densities(lambda x, t: x @ a.T, x, signs, 200)
    torch.testing.assert_close(found, there.log_prob(x.view(5, 2)), rtol=0, atol=1e-4)


def quantised(count: int) -> Tensor:
    """Pixels of such numbers, on that many levels."""
    k = ((MEAN + SD * numbers(256, 3, 8, 8) + 1) / 2 * (count - 1)).round().clamp(0, count - 1)
    return (k * 255 / (count - 1)).round().to(torch.uint8)


@pytest.mark.parametrize("count", [256, 17])
def test_numbers_of_known_entropy_take_its_bits(count):
    """The entropy of the normal distribution, and log2 of how many steps its unit has."""
    made = known(lambda x, t, labels: gaussian(x, t), quantised(count), torch.zeros(256, dtype=torch.int64))
    entropy = math.log2(SD * math.sqrt(2 * math.pi * math.e)) + math.log2((count - 1) / 2)
    assert probe("bits_per_dim", made)["bits_per_dim"] == pytest.approx(entropy, abs=0.02)


def test_hutchinson_has_the_mean_of_the_exact_divergence():
    made = subject("rope2d", shape=(1, 4, 4), weights=0.3)
    x = numbers(1, 1, 4, 4)
    label = torch.zeros(1, dtype=torch.int64)

    def velocity(x: Tensor, t: float) -> Tensor:
        return made.velocity(x, torch.full((len(x),), t), label.expand(len(x)))

    jacobian = torch.autograd.functional.jacobian(lambda x: velocity(x, 0.4), x).view(16, 16)
    draws = normal(1, Stream.NOISE, torch.arange(4000), 16).sign().view(1, 4000, 1, 4, 4)
    _, found = with_divergence(velocity, x.expand(4000, -1, -1, -1), 0.4, draws)
    off = jacobian + jacobian.T
    spread = (off.fill_diagonal_(0).square().sum() / 2).sqrt().item()
    assert spread > 0.01, "else any vector would do"
    assert found.std().item() == pytest.approx(spread, rel=0.05)
    assert found.mean().item() == pytest.approx(jacobian.trace().item(), abs=4 * spread / math.sqrt(4000))


def test_an_untrained_network_says_the_bits_of_noise():
    """Its flow stands still, so a picture has the density of the standard normal."""
    still = subject(weights=0, n=200, chunk=200)
    x = still.pixels.double() / 127.5 - 1
    nats = (x.square().mean() + (2 / 255) ** 2 / 12 + math.log(2 * math.pi)) / 2 + math.log(127.5)
    found = probe("bits_per_dim:steps=2", still)["bits_per_dim"]
    assert found == pytest.approx(nats.item() / math.log(2), abs=1e-3)


@pytest.mark.parametrize("option", ["steps", "draws"])
def test_options_that_mean_nothing_are_refused(option):
    with pytest.raises(UserError, match="1 or more"):
        probe(f"bits_per_dim:{option}=0", subject())


def test_it_works_where_a_caller_wants_no_gradients():
    """And after others have looked, whose tables may be kept."""
    made = subject("learned+rope2d+alibi2d")
    want = probe("bits_per_dim:steps=2", subject("learned+rope2d+alibi2d"))
    with torch.inference_mode():
        probe("held_out_loss", made)
        assert probe("bits_per_dim:steps=2", made) == want
