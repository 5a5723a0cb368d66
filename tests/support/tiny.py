"""A training that takes milliseconds: its settings, network, batches, and copies of all it changes."""

from typing import Any

import torch
from torch import Tensor

from rope_dit.config import ModelConfig, TrainConfig
from rope_dit.draws import Draws, Inputs
from rope_dit.model import DiT
from rope_dit.trainer import Training

CONFIG = TrainConfig(
    steps=12,
    batch=6,
    lr=0.01,
    warmup_steps=3,
    weight_decay=0.1,
    clip=0.5,
    precision="fp32",
    compile="off",
    threads=1,
    log_every=5,
    save_seconds=1e9,
)
Logs = dict[int, dict[str, float]]


def model(seed: int = 0, **settings: object) -> DiT:
    config = ModelConfig(dim=16, depth=1, num_heads=2, mlp_ratio=2, **settings)
    dit = DiT(config, "learned+rope2d", channels=1, image_size=(4, 6), num_classes=2, null_class=True)
    dit.init_weights(seed)
    return dit


def batch(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    images = torch.rand(6, 1, 4, 6, generator=generator) * 2 - 1
    return images, torch.randint(2, (6,), generator=generator)


def copies(training: Training) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in training.tensors().items()}


def draws(config: TrainConfig, seed: int, step: int, shape: tuple[int, ...], **more: Any) -> Draws:
    """What chance decides in a step, for pictures of this shape."""
    device = more.pop("device", "cpu")
    made_up = torch.zeros(shape, device=device), torch.zeros(shape[0], dtype=torch.int64, device=device)
    return Inputs(config, lambda step: made_up, seed, **more)(step)[2]


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
