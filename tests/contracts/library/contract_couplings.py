"""What holds of every coupling: each noise goes with one picture, the same each time."""

import torch

from rope_dit.randomness import Numbers, Stream
from rope_dit.registry import COUPLINGS


def paired(spec):
    generator = torch.Generator().manual_seed(0)
    images, noise = (torch.randn(12, 1, 3, 3, generator=generator) for _ in range(2))
    numbers = Numbers(0, Stream.COUPLING, torch.tensor([5]))
    order = COUPLINGS.bind(spec)().pair(images, torch.arange(12) % 3, noise, numbers)
    return torch.arange(12) if order is None else order


def each_noise_goes_with_one_picture(spec):
    assert sorted(paired(spec).tolist()) == list(range(12))


def the_same_batch_is_paired_the_same_way(spec):
    assert torch.equal(paired(spec), paired(spec))


CHECKS = [each_noise_goes_with_one_picture, the_same_batch_is_paired_the_same_way]
