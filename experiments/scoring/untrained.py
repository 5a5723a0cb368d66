"""Pictures of a network that has learned nothing: the far end of the scale that scores stand on."""

from collections.abc import Sequence

import torch
from torch import Tensor

from experiments.datasets.batches import to_uint8
from rope_dit.randomness import Stream, normal

SEED = 0  # a sampling seed like any other: the pictures are the same for every run


def untrained_pictures(indices: range, shape: Sequence[int]) -> Tensor:
    """Pictures of the starting noise, uint8 [n, C, H, W], clipped as every picture is.

    The output of a DiT begins at zero (adaLN-Zero, arXiv:2212.09748), so before its first step a network that
    predicts the velocity says 0 everywhere, and an ODE solver returns the noise that it was given. One that
    predicts x draws everything to grey, and one that predicts the noise blows it up; the starting noise
    stands for these too, because arms of one study may differ in their objective.

    Args:
        indices: of the pictures, of which each depends on its own alone.
        shape: (C, H, W).
    """
    count = torch.Size(shape).numel()
    noise = normal(SEED, Stream.EVAL_NOISE, torch.arange(indices.start, indices.stop), count)
    return to_uint8(noise.view(-1, *shape))
