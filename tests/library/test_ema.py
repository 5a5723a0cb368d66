"""Averages of the weights against the plain formula."""

import pytest
import torch
from torch import Tensor

from rope_dit.averages.ema import EMA
from rope_dit.averages.names import average_name

ON, OFF = torch.ones(()), torch.zeros(())


def warmup(decay: float) -> str:
    return f"warmup:decay={decay:.9g}"


def weights(step: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(step)
    return [torch.randn(3, 2, generator=generator), torch.randn(4, generator=generator)]


@pytest.mark.parametrize("decays", [[0.999], [0.0, 0.5, 0.9999]])
def test_warmed_up_average_is_the_plain_formula(decays):
    ema = EMA(weights(0), [warmup(decay) for decay in decays])
    expected = {average_name(warmup(decay)): [w.double() for w in weights(0)] for decay in decays}
    for step in range(50):
        ema.update(weights(step + 1), step, ON)
        for decay in decays:
            share = min(decay, (1 + step) / (10 + step))
            name = average_name(warmup(decay))
            pairs = zip(expected[name], weights(step + 1), strict=True)
            expected[name] = [share * old + (1 - share) * new.double() for old, new in pairs]
    assert ema.profiles.keys() == expected.keys()
    for key, average in ema.profiles.items():
        for got, wanted in zip(average, expected[key], strict=True):
            torch.testing.assert_close(got.double(), wanted, rtol=1e-5, atol=1e-6)


def test_decays_that_differ_have_names_that_differ():
    decays = ["0.9999999999", "0.99999999991", "0.999", "1e-3"]
    names = [average_name(f"warmup:decay={decay}") for decay in decays]
    assert names == ["0.9999999999", "0.99999999991", "0.999", "0.001"]


def test_the_first_update_nearly_forgets_the_initial_weights():
    ema = EMA([torch.full((2,), 10.0)], [warmup(0.999)])
    ema.update([torch.zeros(2)], 0, ON)
    torch.testing.assert_close(ema.profiles["0.999"][0], torch.full((2,), 1.0))


def test_keep_0_freezes_to_the_bit():
    ema = EMA(weights(0), [warmup(0.9)])
    ema.update(weights(1), 0, ON)
    before = [w.clone() for w in ema.profiles["0.9"]]
    for step in range(1, 5):
        ema.update(weights(step + 1), step, OFF)
    assert all(torch.equal(*pair) for pair in zip(before, ema.profiles["0.9"], strict=True))


def test_constant_weights_stay_to_the_bit():
    ema = EMA(weights(0), [warmup(0.999), warmup(0.5)])
    for step in range(20):
        ema.update(weights(0), step, ON)
    for average in ema.profiles.values():
        assert all(torch.equal(*pair) for pair in zip(average, weights(0), strict=True))


def test_averages_are_float32_copies():
    live = [torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16))]
    ema = EMA(live, [warmup(0.9)])
    (average,) = ema.profiles["0.9"]
    assert average.dtype == torch.float32
    assert not average.requires_grad
    with torch.no_grad():
        live[0].fill_(5)
    assert average.tolist() == [1, 1, 1]
    ema.update(live, 0, ON)
    assert average.dtype == torch.float32
    torch.testing.assert_close(average, torch.full((3,), 4.6))


def test_names_tell_decays_apart():
    names = ["0", "0.5", "0.999", "0.9999", "0.999999", "0.99999999"]
    assert [average_name(warmup(float(name))) for name in names] == names
    assert average_name("constant:decay=0.5") == "constant-decay0.5", "the decay alone is that of warmup"
