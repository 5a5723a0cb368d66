"""Which pictures a step takes: epochs in orders of their own, and no bit that rests on how blocks are cut."""

import pytest
import torch

from experiments.datasets import batches as module
from experiments.datasets.batches import Batches, to_float
from rope_dit import draws
from rope_dit.randomness import Stream, integers

SIZES = [(30, 6), (10, 4), (3, 8), (100, 7), (5, 5)]
"""pictures, and pictures a step"""


def batches(count, batch):
    pixels = integers(0, Stream.NOISE, torch.arange(count), 2 * 3 * 4) % 256
    pictures = pixels.to(torch.uint8).view(count, 2, 3, 4)
    return Batches(pictures, torch.arange(count), batch=batch, seed=5, flip=True)


def one_by_one(count, batch, step):
    """A step's pictures and labels, drawn for it alone in the plainest way."""
    made, places = batches(count, batch), range(step * batch, (step + 1) * batch)
    orders = {
        epoch: integers(5, Stream.BATCH_ORDER, torch.tensor([epoch]), count)[0].sort(stable=True).indices
        for epoch in {place // count for place in places}
    }
    index = torch.stack([orders[place // count][place % count] for place in places])
    images = to_float(made.images[index])
    mirrored = integers(5, Stream.FLIP, torch.tensor([step]), batch)[0] >= 2**31
    return torch.where(mirrored[:, None, None, None], images.flip(3), images), index


@pytest.mark.parametrize(("count", "batch"), SIZES)
@pytest.mark.parametrize("most", [1, 2, 3, 7, 256])
def test_blocks_change_no_bit(monkeypatch, count, batch, most):
    monkeypatch.setattr(draws, "MOST_STEPS", most)
    made = batches(count, batch)
    for step in (*range(20), 255, 256, 257, 3, 10**6):  # across borders, and again from the middle
        for got, expected in zip(made(step), one_by_one(count, batch, step), strict=True):
            assert torch.equal(got, expected), step


@pytest.mark.parametrize(("count", "batch"), SIZES)
def test_each_epoch_takes_each_picture_once(count, batch):
    made = batches(count, batch)
    taken = torch.cat([made(step)[1] for step in range(3 * count)])
    epochs = taken[: 3 * batch * count].view(-1, count)
    assert (epochs.sort().values == torch.arange(count)).all()
    assert len({tuple(epoch.tolist()) for epoch in epochs}) > 1


def test_bytes_become_floats_and_come_back():
    every = torch.arange(256).to(torch.uint8)
    assert torch.equal(module.to_uint8(to_float(every)), every)
    assert to_float(every).dtype == torch.float32
    assert (to_float(every)[0], to_float(every)[255]) == (-1, 1)
