"""Rectified flow: the straight path from noise to data, its velocity, the densities of t, and the loss.

Liu et al., "Flow straight and fast", arXiv:2209.03003, equation 1, with x0 noise and x1 data.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rope_dit.config import TrainConfig
from rope_dit.randomness import Stream, normal, uniform

NUM_BINS = 10


@dataclass(frozen=True)
class Draws:
    """What chance decides in one step: t [B] in (0, 1), noise [B, C, H, W], labels to drop, bool [B]."""

    t_B: Tensor
    noise_BCHW: Tensor
    drop_B: Tensor

    def map(self, change: Callable[[Tensor], Tensor]) -> "Draws":
        """Apply `change` to each tensor, as to take some of the rows."""
        return Draws(change(self.t_B), change(self.noise_BCHW), change(self.drop_B))


def draws(config: TrainConfig, seed: int, step: int, shape: tuple[int, ...], device: torch.device) -> Draws:
    """Draw for the global batch of `step`; every number is a function of (seed, stream, step, position)."""
    place = torch.device("cpu") if device.type == "mps" else device  # MPS has no float64
    index, batch = torch.full((1,), step, device=place), shape[0]  # torch.tensor would make the host wait
    if config.t_density == "logit_normal":  # Esser et al., arXiv:2403.03206, section 3.1, scale 1
        # in float64, because devices differ in the last bit of an exponential
        t_B = torch.sigmoid(normal(seed, Stream.TIME, index, batch)[0].double()).float()
    else:
        t_B = uniform(seed, Stream.TIME, index, batch)[0]
    noise = normal(seed, Stream.NOISE, index, torch.Size(shape).numel()).view(shape)
    drop_B = uniform(seed, Stream.LABEL_DROPOUT, index, batch)[0] < config.label_dropout
    return Draws(t_B.to(device), noise.to(device), drop_B.to(device))


def interpolate(x0: Tensor, x1: Tensor, t_B: Tensor) -> Tensor:
    """x_t = t*x1 + (1-t)*x0 for images [B, C, H, W] and times [B]."""
    t = t_B.view(-1, *[1] * (x1.dim() - 1))
    return t * x1 + (1 - t) * x0


def target(x0: Tensor, x1: Tensor) -> Tensor:
    """Velocity of the path: its derivative in t, the same at every t."""
    return x1 - x0


def loss(model: nn.Module, x1_BCHW: Tensor, labels_B: Tensor, draw: Draws, null_label: int | None) -> Tensor:
    """Mean squared error on the velocity for each image, [B]; its mean is the training loss."""
    if null_label is not None:
        labels_B = labels_B.masked_fill(draw.drop_B, null_label)
    x_t = interpolate(draw.noise_BCHW, x1_BCHW, draw.t_B)
    v_BCHW: Tensor = model(x_t, draw.t_B, labels_B)
    error = v_BCHW.float() - target(draw.noise_BCHW, x1_BCHW)
    return error.square().flatten(1).mean(1)


def bin_sums(loss_B: Tensor, t_B: Tensor) -> Tensor:
    """Sum of losses and number of images in each tenth of t: [2, 10], float32 on the device.

    Not by index_add_, which on CUDA adds in any order and so gives other bits each time.
    """
    bins = (t_B * NUM_BINS).long().clamp(0, NUM_BINS - 1)
    outside = bins[:, None] != torch.arange(NUM_BINS, device=t_B.device)
    sums = loss_B.detach().float()[:, None].masked_fill(outside, 0.0).sum(0)
    return torch.stack((sums, (~outside).sum(0, dtype=torch.float32)))
