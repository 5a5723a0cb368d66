"""Draws are made for a block of steps at a time; how long it is changes no bit."""

from dataclasses import replace

import pytest
import torch
from tiny import CONFIG, batch, copies, model, same

from rope_dit import draws
from rope_dit.couplings.ot import OptimalTransport
from rope_dit.draws import Blocks, Inputs, block_length
from rope_dit.trainer import Training, train

LENGTHS = [1, 2, 3, 5, 256]
STEPS = [*range(12), 4, 11, 0]
"""from the start to the end, then again from the middle, the end and the start"""
SETTINGS = [{}, {"density": "stratified+uniform"}, {"coupling": "ot"}, {"label_dropout": 0.5}]


def given(config, steps, places):
    """What a step is given, as one tuple of tensors a step; `Inputs` begins at the first of `steps`."""
    inputs = Inputs(config, batch, 7, places)
    for step in steps:
        images, labels, draw = inputs(step)
        drawn = (draw.t_B, draw.noise_BCHW, draw.drop_B, draw.moves_BN)
        yield images, labels, *(tensor for tensor in drawn if tensor is not None)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("places", [0, 3])
def test_blocks_change_no_bit(monkeypatch, settings, places):
    config = replace(CONFIG, **settings)
    monkeypatch.setattr(draws, "MOST_STEPS", 1)
    alone = {step: next(given(config, [step], places)) for step in set(STEPS)}
    assert len(alone[0]) == 6 if places else 5
    assert not torch.equal(alone[0][2], alone[1][2])
    for length in LENGTHS:
        monkeypatch.setattr(draws, "MOST_STEPS", length)
        for step, got in zip(STEPS, given(config, STEPS, places), strict=True):
            assert all(map(torch.equal, got, alone[step])), (length, step)


@pytest.mark.parametrize("begin", [1, 4, 7])
def test_a_training_taken_up_in_the_middle_of_a_block_is_the_same(monkeypatch, begin):
    def trained(*parts):
        training = Training.fresh(model(), CONFIG)
        for length, until in parts:
            monkeypatch.setattr(draws, "MOST_STEPS", length)
            for _ in train(training, batch, seed=0, until=until):
                pass
        return copies(training)

    assert same(trained((5, begin), (3, 12)), trained((1, 12)))


def test_noise_goes_with_the_pictures_as_the_coupling_says():
    plain, paired = (
        Inputs(replace(CONFIG, coupling=coupling), batch, 7) for coupling in ("independent", "ot")
    )
    one_way = 0
    for step in range(12):
        (images, labels, before), (_, _, after) = plain(step), paired(step)
        order = OptimalTransport().pair(images, labels, before.noise_BCHW, None)
        assert torch.equal(after.noise_BCHW, before.noise_BCHW[order])
        assert torch.equal(after.t_B, before.t_B)
        one_way += not torch.equal(order, order.argsort())
    assert one_way, "no order here is another one backwards"


def test_transport_is_right_where_float32_is_not():
    little = 2.0**-13  # whose square float32 loses beside 1
    images, noise = torch.tensor([[1.0], [1 + little]]), torch.tensor([[1 + little], [1.0]])
    assert OptimalTransport().pair(images, torch.zeros(2), noise, None).tolist() == [1, 0]


def test_a_block_is_made_once_and_holds_its_own_steps():
    made = []

    def make(steps):
        made.append(steps)
        return torch.arange(steps.start, steps.stop)

    block = Blocks(make, 4)
    assert [int(block(step)) for step in range(10)] == list(range(10))
    assert made == [range(4), range(4, 8), range(8, 12)]


def test_a_block_s_memory_is_bounded():
    assert block_length(10**9) == 1
    assert block_length(1) == draws.MOST_STEPS
    per_step = draws.BLOCK_BYTES // 40
    assert block_length(per_step) * per_step * 4 <= draws.BLOCK_BYTES


def test_a_rank_s_part_is_taken_of_everything():
    draw = Inputs(CONFIG, batch, 7, moves=2)(0)[2]
    part = draw.map(lambda tensor: tensor[2:4])
    for name in ("t_B", "noise_BCHW", "drop_B", "moves_BN"):
        assert torch.equal(getattr(part, name), getattr(draw, name)[2:4]), name
