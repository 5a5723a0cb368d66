"""Guidance: its identities, where it acts, and what it costs."""

from collections.abc import Callable

import pytest
import torch
from contract_samplers import noise
from torch import Tensor

from rope_dit.config import ModelConfig
from rope_dit.guidance.autoguidance import AutoGuidance
from rope_dit.guidance.base import Counted, Network
from rope_dit.guidance.cfg import ClassifierFree
from rope_dit.guidance.cfg_zero import CFGZero
from rope_dit.model import DiT
from rope_dit.registry import SOLVERS
from rope_dit.samplers.base import Velocity
from rope_dit.samplers.euler import Euler
from rope_dit.samplers.spec import SamplerSpec

B, C, H, W = 5, 3, 4, 6
CLASSES, NULL = 4, 4
LABELS = torch.tensor([0, 1, 2, 3, 1])
HALF = torch.tensor(0.5, dtype=torch.float64)


@pytest.fixture(scope="module")
def model() -> DiT:
    """A small network with a null class, its weights away from their start, where every velocity is 0."""
    config = ModelConfig(dim=16, depth=1, num_heads=2)
    made = DiT(config, "rope2d", channels=C, image_size=(H, W), num_classes=CLASSES, null_class=True)
    made.init_weights(0)
    for i, weight in enumerate(made.parameters()):
        weight.detach().add_(0.3 * torch.sin(torch.arange(weight.numel()) * (i + 1.7)).view(weight.shape))
    return made.requires_grad_(False)


@pytest.fixture
def x() -> Tensor:
    return torch.sin(torch.arange(B * C * H * W) * 1.3).view(B, C, H, W)


def guided(network: Network, weight: float = 1.0, null: int | None = NULL, **interval: float) -> Velocity:
    return ClassifierFree(weight=weight, **interval).velocity(network, LABELS, null)


def plain(model: DiT, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
    return model(x, t.float().expand(B), labels)


def nulls() -> Tensor:
    return torch.full((B,), NULL)


def test_weight_1_is_the_network_itself(model, x):
    counted = Counted(model)
    assert torch.equal(guided(counted)(x, HALF), plain(model, x, HALF, LABELS))
    assert torch.equal(
        guided(model, null=None)(x, HALF), plain(model, x, HALF, LABELS)
    )  # and needs no null class
    assert counted.rows == B


def test_weight_0_is_unconditional(model, x):
    torch.testing.assert_close(guided(model, 0.0)(x, HALF), plain(model, x, HALF, nulls()), rtol=0, atol=1e-5)


@pytest.mark.parametrize("weight", [0.5, 3.0, 10.0])
def test_is_linear_in_the_weight_on_every_channel(model, x, weight):
    v_class, v_null = plain(model, x, HALF, LABELS), plain(model, x, HALF, nulls())
    assert ((v_class - v_null).abs().amax(dim=(2, 3)) > 1e-3).all(), "the classes must matter on each channel"
    torch.testing.assert_close(
        guided(model, weight)(x, HALF),
        v_null + weight * (v_class - v_null),
        rtol=1e-5,
        atol=1e-4,
    )


def test_acts_within_the_interval_and_at_both_its_ends(model, x):
    v = guided(model, 3.0, begin=0.25, end=0.75)
    everywhere = guided(model, 3.0)
    for inside in (0.25, 0.5, 0.75):
        t = torch.tensor(inside, dtype=torch.float64)
        assert torch.equal(v(x, t), everywhere(x, t))
    for outside in (0.0, 0.25 - 1e-8, 0.75 + 1e-8, 1.0):
        t = torch.tensor(outside, dtype=torch.float64)
        assert torch.equal(v(x, t), plain(model, x, t, LABELS))
        assert not torch.equal(v(x, t), everywhere(x, t))


def test_without_an_interval_acts_at_0_and_1_too(model, x):
    for end in (0.0, 1.0):
        counted, t = Counted(model), torch.tensor(end)
        guided(counted, 3.0)(x, t)
        assert counted.rows == 2 * B


class Watched:
    """A network that remembers what it was given."""

    def __init__(self, network: Callable[[Tensor, Tensor, Tensor], Tensor]):
        self.network = network
        self.calls: list[tuple[Tensor, Tensor, Tensor]] = []

    def __call__(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        self.calls.append((x, t, labels))
        return self.network(x, t, labels)


@pytest.mark.parametrize(("weight", "rows"), [(1.0, B), (3.0, 2 * B)])
def test_a_network_gets_one_batch_with_float32_times(model, x, weight, rows):
    watched = Watched(model)
    guided(watched, weight)(x, torch.tensor(0.1, dtype=torch.float64))
    ((seen_x, seen_t, seen_labels),) = watched.calls
    assert (len(seen_x), len(seen_labels)) == (rows, rows)
    assert seen_t.dtype == torch.float32
    assert torch.equal(seen_t, torch.full((rows,), 0.1))


def smooth(x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
    """A velocity that costs adaptive solvers few steps."""
    return x * torch.cos(4 * t + labels).view(-1, 1, 1, 1)


@pytest.mark.parametrize("name", SOLVERS.names())
@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_counts_what_the_network_evaluates_under_every_sampler(x, name, weight):
    spec = SamplerSpec.parse(name if SOLVERS[name].claims.get("adaptive") else f"{name}:steps=3")
    watched = Watched(smooth)
    counted = Counted(watched)
    end = spec.build()(guided(counted, weight), x, noise)
    assert (end.dtype, end.shape) == (x.dtype, x.shape)
    assert counted.rows == sum(len(seen) for seen, _, _ in watched.calls)
    if spec.nfe is not None:
        assert counted.rows / B == spec.nfe * (1 if weight == 1 else 2)


@pytest.mark.parametrize(
    ("begin", "end", "inside"), [(0.25, 0.65, 4), (0.0, 0.3, 4), (0.0, 0.4, 5), (0.3, 0.7, 5), (0.6, 0.7, 2)]
)
def test_an_interval_costs_two_evaluations_inside_and_one_outside(model, x, begin, end, inside):
    """Three steps of a tenth lead to 0.30000000000000004, which is 0.3."""
    counted = Counted(model)
    velocity = guided(counted, 3.0, begin=begin, end=end)
    SamplerSpec.parse("euler:steps=10").build()(velocity, x)
    assert counted.rows / B == 10 + inside


def test_guidance_without_a_null_class_is_our_mistake(model, x):
    with pytest.raises(AssertionError, match="null class"):
        guided(model, 2.0, null=None)(x, HALF)


# CFG-Zero*


def zeroed(network: Network, weight: float = 3.0, **options: float) -> Velocity:
    return CFGZero(weight=weight, **options).velocity(network, LABELS, NULL)


def test_cfg_zero_is_cfg_where_the_unconditional_velocity_is_scaled(model, x):
    """By the factor at which what is left of the class's velocity is at right angles to it."""
    v_class, v_null = plain(model, x, HALF, LABELS), plain(model, x, HALF, nulls())
    found = zeroed(model, 3.0)(x, HALF)
    null = (3 * v_class - found) / 2
    scale = null.flatten(1).mul(v_null.flatten(1)).sum(1) / v_null.flatten(1).square().sum(1)
    torch.testing.assert_close(null, scale.view(B, 1, 1, 1) * v_null, rtol=0, atol=1e-4)
    assert ((v_class - null) * v_null).flatten(1).sum(1).abs().max() < 1e-3
    assert (scale - 1).abs().min() > 1e-3, "no picture must have the same scale as in cfg"
    assert not torch.allclose(found, guided(model, 3.0)(x, HALF), atol=1e-3)


def test_cfg_zero_of_one_velocity_for_all_classes_is_that_velocity(x):
    v = zeroed(lambda x, t, labels: x, 5.0)
    torch.testing.assert_close(v(x, HALF), x, rtol=0, atol=1e-5)


def test_cfg_zero_of_no_velocity_is_none(x):
    assert torch.equal(zeroed(lambda x, t, labels: 0 * x)(x, HALF), torch.zeros_like(x))


@pytest.mark.parametrize(
    ("text", "nfe"),
    [
        ("euler:steps=50", 2 * 49),  # the first step, which asks at 0
        ("euler:steps=100", 2 * 98),  # and 0.01, but not 0.02
        ("heun:steps=25", 2 * 49),  # the first half of the first step
        ("rk4:steps=100", 2 * 393),  # of two steps the calls at 0, .005 twice, .01 twice, .015 twice
    ],
)
def test_cfg_zero_evaluates_nothing_at_times_below_zero(x, text, nfe):
    counted = Counted(smooth)
    SamplerSpec.parse(text).build()(zeroed(counted), x)
    assert counted.rows / B == nfe


def test_cfg_zero_leaves_x_as_it_is_in_the_steps_below_zero(x):
    times = torch.tensor([0.0, 0.01, 0.02], dtype=torch.float64)
    assert torch.equal(Euler().integrate(zeroed(smooth), x, times), x)
    assert not torch.equal(Euler().integrate(zeroed(smooth, zero=0.0), x, times), x)


# Autoguidance


def test_autoguidance_goes_from_the_weaker_velocity_through_the_other(model, x):
    weak = lambda x, t, labels: model(x, t / 2, labels)  # noqa: E731
    v, v_weak = plain(model, x, HALF, LABELS), plain(model, x, HALF / 2, LABELS)
    for weight in (0.0, 0.5, 3.0):
        found = AutoGuidance(weight=weight).velocity(model, LABELS, None, weak)(x, HALF)
        torch.testing.assert_close(found, v_weak + weight * (v - v_weak), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("begin", "end", "inside"), [(0.0, 1.0, 10), (0.25, 0.65, 4), (0.0, 0.3, 4)])
def test_autoguidance_costs_two_evaluations_inside_its_interval_and_one_outside(x, begin, end, inside):
    network, weak = Counted(smooth), Counted(lambda x, t, labels: -x)
    made = AutoGuidance(weight=2.0, begin=begin, end=end).velocity(network, LABELS, None, weak)
    SamplerSpec.parse("euler:steps=10").build()(made, x)
    assert (network.rows / B, weak.rows / B) == (10, inside)
