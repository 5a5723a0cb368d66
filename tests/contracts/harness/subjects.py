"""Networks for probes to look at: small, with weights far from their start, of any variant and grid."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from experiments.config.presets import PRESETS
from experiments.scoring.probes.base import Subject
from rope_dit.config import ModelConfig
from rope_dit.model import DiT, draw
from rope_dit.randomness import Stream, integers
from rope_dit.registry import OBJECTIVES

CLASSES = 3


class Known(nn.Module):
    """Stands for a network whose velocity at (x, t, labels) is known."""

    def __init__(self, velocity: Callable[[Tensor, Tensor, Tensor], Tensor]):
        super().__init__()
        self.velocity, self.weight = velocity, nn.Parameter(torch.ones(()))
        self.eval()

    def forward(self, x_BCHW: Tensor, t_B: Tensor, labels_B: Tensor) -> Tensor:
        return self.weight * self.velocity(x_BCHW, t_B.view(-1, 1, 1, 1), labels_B.view(-1, 1, 1, 1))


def known(velocity: Callable[[Tensor, Tensor, Tensor], Tensor], pixels: Tensor, labels: Tensor) -> Subject:
    """These pictures, and a network of this velocity; its times and labels are [B, 1, 1, 1]."""
    return replace(subject(), model=Known(velocity), pixels=pixels, labels=labels)


def subject(
    variant: str = "learned+rope2d",
    *,
    shape: tuple[int, int, int] = (2, 8, 10),
    n: int = 7,
    chunk: int = 4,
    objective: str = "velocity",
    weights: float = 0.05,
    **settings: Any,
) -> Subject:
    """A network of two blocks, for pictures of this shape; `weights` is how far they are from their start."""
    made = ModelConfig(**{"dim": 16, "depth": 2, "num_heads": 2, "mlp_ratio": 2, "patch": 2} | settings)
    config = PRESETS["smoke"]
    config = replace(
        config,
        model=made,
        train=replace(config.train, compile="off", precision="fp32", objective=objective),
        eval=replace(config.eval, chunk=chunk),
    )
    model = DiT(
        made, variant, channels=shape[0], image_size=shape[1:], num_classes=CLASSES, null_class=True
    ).eval()
    model.init_weights(0)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p += weights * draw(1, Stream.NOISE, name, tuple(p.shape))
    pixels = integers(0, Stream.EVAL_NOISE, torch.arange(n), torch.Size(shape).numel()) % 256
    return Subject(
        model,
        OBJECTIVES.bind(objective)(),
        config,
        pixels.to(torch.uint8).view(n, *shape),
        torch.arange(n) % CLASSES,
    )
