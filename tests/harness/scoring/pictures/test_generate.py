"""Noise of stochastic solvers belongs to the picture, the step and the sampling seed, and to nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments.config.presets import PRESETS
from experiments.scoring.generate import Generator
from rope_dit.errors import Diverged
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.model import DiT
from rope_dit.randomness import Stream, normal
from rope_dit.samplers.spec import SamplerSpec

SHAPE = (2, 4, 6)
CFG = GuidanceSpec.parse("cfg:weight=2")
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def generator(chunk: int = 6, device: str = "cpu") -> Generator:
    """Of a small network whose weights are away from their start, where every velocity is 0."""
    config = PRESETS["smoke"]
    config = replace(
        config,
        train=replace(config.train, compile="off", precision="fp32"),
        eval=replace(config.eval, chunk=chunk),
    )
    model = DiT(config.model, "rope2d", channels=2, image_size=SHAPE[1:], num_classes=3, null_class=True)
    model.init_weights(0)
    for i, weight in enumerate(model.parameters()):
        weight.detach().add_(0.3 * torch.sin(torch.arange(weight.numel()) * (i + 1.7)).view(weight.shape))
    return Generator(model.to(device), config, np.arange(30) % 3, SHAPE, lambda: False)


def noise(indices: range, step: int, seed: int = 7, device: str = "cpu") -> torch.Tensor:
    x = torch.zeros(len(indices), *SHAPE, device=device)
    return generator(device=device).step_noise(indices, seed)(step, x)


def pictures(text: str, seed: int = 0, chunk: int = 6, device: str = "cpu") -> torch.Tensor:
    made = generator(chunk, device)
    chunks = [made.chunk_of(i, SamplerSpec.parse(text), CFG, seed)[0] for i in range(12 // chunk)]
    return torch.cat(chunks).cpu()


@pytest.mark.parametrize("device", DEVICES)
def test_the_noise_of_a_step_is_a_function_of_seed_picture_and_step(device):
    expected = normal(7, Stream.SDE_NOISE, torch.tensor([11 + (5 << 32)]), 48).view(SHAPE)
    assert torch.equal(noise(range(10, 13), 5, device=device)[1].cpu(), expected)


def test_the_noise_of_a_picture_does_not_depend_on_its_chunk():
    whole = noise(range(40), 3)
    assert torch.equal(noise(range(17, 23), 3), whole[17:23])
    assert torch.equal(noise(range(17, 18), 3), whole[17:18])


def test_no_two_pictures_steps_or_seeds_share_noise():
    drawn = [noise(range(30), 0), noise(range(30), 1), noise(range(30), 100_000), noise(range(30), 0, seed=8)]
    drawn += [generator().noise(range(30), 7)]
    rows = torch.cat(drawn).flatten(1)
    assert len(rows.unique(dim=0)) == len(rows)
    assert abs(rows.mean()) < 0.05
    assert abs(rows.std() - 1) < 0.05


def test_the_last_picture_and_step_that_there_may_be_have_noise():
    last = noise(range(2**32 - 1, 2**32), 2**31 - 1)
    assert last.isfinite().all()
    assert not torch.equal(last, noise(range(2**32 - 1, 2**32), 2**31 - 2))
    with pytest.raises(AssertionError, match="32 bits"):
        noise(range(2**32, 2**32 + 1), 0)
    with pytest.raises(AssertionError, match="no noise of its own"):
        noise(range(1), 2**31)


def test_a_stochastic_solver_s_pictures_are_reproduced_and_go_with_the_seed():
    made = pictures("euler_maruyama:steps=5")
    assert torch.equal(made, pictures("euler_maruyama:steps=5"))
    for other in (pictures("euler_maruyama:steps=5", seed=1), pictures("euler:steps=5")):
        assert (made != other).any(dim=(1, 2, 3)).all()
    assert torch.equal(pictures("euler_maruyama:steps=5,churn=0"), pictures("euler:steps=5"))


def test_other_chunks_of_a_stochastic_solver_agree_closely():
    whole, parts = (pictures("euler_maruyama:steps=5", chunk=chunk).int() for chunk in (12, 3))
    assert (whole - parts).abs().max() <= 1  # of 255: rounding of the last bits


@pytest.mark.parametrize(
    ("solver", "found"),
    [("euler:steps=2", "6 of 6 pictures are not finite"), ("dopri5", "dopri5: the velocity is not finite")],
)
def test_pictures_of_weights_that_ran_away_are_not_rounded_to_black(solver, found):
    """All weights are numbers, as after a step with a learning rate of 1000; what they make is none."""
    made = generator()
    made.load([weight * 1e30 for weight in made.model.parameters()], 7)
    with pytest.raises(
        Diverged, match=rf"^diverged at step 7: {found}.* \({solver[:5]}.*, guidance 2\)"
    ) as caught:
        made.chunk_of(0, SamplerSpec.parse(solver), CFG, 0)
    assert caught.value.step == 7


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_one_picture_that_is_not_finite_is_enough(monkeypatch, bad):
    made = generator()
    one = torch.zeros(6, *SHAPE)
    one[3, 0, 1, 2] = bad
    monkeypatch.setattr(made, "solved", lambda *which: (one, 2.0))
    with pytest.raises(Diverged, match="1 of 6 pictures are not finite"):
        made.chunk_of(0, SamplerSpec.parse("euler:steps=2"), CFG, 0)
    one[3, 0, 1, 2] = 1e30  # large, but a number: white
    assert made.chunk_of(0, SamplerSpec.parse("euler:steps=2"), CFG, 0)[0].max() == 255
