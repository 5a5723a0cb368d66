"""How fast a trained network's velocity changes along its own paths: what the grid `sharp` is made of."""

from itertools import pairwise

import torch
from torch import Tensor

from experiments.scoring.generate import Generator
from rope_dit.grids.uniform import uniform

STEPS = 128


@torch.inference_mode()
def changes(generator: Generator) -> Tensor:
    """Change of the velocity a unit of time in each of 128 equal steps of euler, float64 [128] on the CPU.

    Root mean square over a picture, mean over the first chunk of sampling seed 0, without guidance. No step
    asks at t = 1, where some objectives have no velocity: the last has the change of the one before.
    """
    velocity, x_BCHW = generator.unguided(range(generator.chunk), 0)
    found, before = list[Tensor](), None
    for t0, t1 in pairwise(uniform(STEPS)):
        now = velocity(x_BCHW, t0)
        if before is not None:
            found.append((now - before).double().flatten(1).square().mean(1).sqrt().mean() * STEPS)
        x_BCHW, before = x_BCHW + (t1 - t0) * now, now
    return torch.stack([*found, found[-1]]).cpu()
