"""The distance from held-out pictures: copies of training pictures come out at its floor, new ones above."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from extractors import digits_fixture, images_fixture  # noqa: F401

from experiments.datasets import Images
from experiments.scoring.extractors.base import Extractor, Features
from experiments.scoring.held_out import from_held_out
from experiments.scoring.metrics import real_floor
from experiments.scoring.metrics.frechet import Frechet


@pytest.fixture(scope="module")
def train(digits: Extractor, images: Images) -> Features:
    return digits(torch.from_numpy(images.train))


@pytest.fixture(scope="module")
def held_out(digits: Extractor, images: Images) -> Features:
    return digits(torch.from_numpy(images.held_out))


def fd(some: Features, others: Features) -> float:
    return Frechet().measure(some, others)["fd"]


def test_copies_lie_below_the_floor_of_the_training_pictures_and_at_that_of_the_held_out(train, held_out):
    drawn = [train[np.random.default_rng(seed).integers(0, len(train), 500)] for seed in range(6)]
    found = [from_held_out(copies, train, held_out) for copies in drawn]
    floor = real_floor(held_out, 500, len(train))
    assert np.mean([fd(copies, train) for copies in drawn]) < 0.7 * floor
    assert np.mean([one["held_out"] for one in found]) == pytest.approx(found[0]["held_out_floor"], rel=0.1)


def test_the_distance_is_that_of_the_metric(train, held_out):
    assert from_held_out(train[:300], train, held_out)["held_out"] == fd(train[:300], held_out)


def test_the_floor_is_of_as_many_pictures_and_always_the_same(train, held_out):
    def floor(n: int) -> float:
        return from_held_out(train[:n], train, held_out)["held_out_floor"]

    assert floor(100) > 1.5 * floor(1000) > 0
    again = replace(train, pool=train.pool.clone()), replace(held_out, pool=held_out.pool.clone())
    assert from_held_out(train[:100], *again)["held_out_floor"] == floor(100)
