"""Rectified flow: the straight path from noise to data, its velocity, and the loss.

Liu et al., "Flow straight and fast", arXiv:2209.03003, equation 1, with x0 noise and x1 data.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rope_dit.draws import Draws
from rope_dit.objectives.base import Objective

NUM_BINS = 10


def interpolate(x0: Tensor, x1: Tensor, t_B: Tensor) -> Tensor:
    """x_t = t*x1 + (1-t)*x0 for images [B, C, H, W] and times [B]."""
    t = t_B.view(-1, *[1] * (x1.dim() - 1))
    return t * x1 + (1 - t) * x0


def target(x0: Tensor, x1: Tensor) -> Tensor:
    """Velocity of the path: its derivative in t, the same at every t."""
    return x1 - x0


def loss(
    model: nn.Module,
    objective: Objective,
    x1_BCHW: Tensor,
    labels_B: Tensor,
    draw: Draws,
    null_label: int | None,
) -> Tensor:
    """Losses of each picture, [1 or 2, B]; the mean of the first row is the training loss.

    The second is the squared error of the velocity that samplers would follow, without gradients; it is there
    only where the first is another thing.
    """
    if null_label is not None:
        labels_B = labels_B.masked_fill(draw.drop_B, null_label)
    x_t = interpolate(draw.noise_BCHW, x1_BCHW, draw.t_B)
    moved = {} if draw.moves_BN is None else {"moves_BN": draw.moves_BN}
    out_BCHW: Tensor = model(x_t, draw.t_B, labels_B, **moved)
    loss_B = objective.losses(out_BCHW, x_t, draw.noise_BCHW, x1_BCHW, draw.t_B)
    if objective.trains_velocity:
        return loss_B[None]
    v_BCHW = objective.velocity(out_BCHW.detach().float(), x_t, draw.t_B)
    error = v_BCHW - target(draw.noise_BCHW, x1_BCHW)
    return torch.stack((loss_B, error.square().flatten(1).mean(1)))


@torch.no_grad()
def bin_sums(losses_RB: Tensor, t_B: Tensor) -> Tensor:
    """Sums of each row of losses in tenths of t, and the number of images there: [R + 1, 10], float32.

    Not by index_add_, which on CUDA adds in any order and so gives other bits each time.
    """
    bins = (t_B * NUM_BINS).long().clamp(0, NUM_BINS - 1)
    outside = bins[:, None] != torch.arange(NUM_BINS, device=t_B.device)
    rows = F.pad(losses_RB.float(), (0, 0, 0, 1), value=1.0)
    return rows[..., None].masked_fill(outside, 0.0).sum(1)
