"""What probes are given: a trained network, what its output means, and held-out pictures in a fixed order.

Shapes: B batch, N pictures, C channels, H and W sides in pixels. Whatever a probe draws depends on its own
name, on the picture's number and on a place of the probe's choice, so that it is equal for all arms and
seeds, and for every batch size.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.config.run import RunConfig
from experiments.datasets.batches import to_float
from rope_dit.errors import Stopped
from rope_dit.model import DiT
from rope_dit.objectives.base import Objective
from rope_dit.randomness import Numbers, Stream
from rope_dit.trainer import autocast


@dataclass(frozen=True, eq=False)
class Subject:
    """A network in evaluation mode, with the weights that are scored, and pictures that it never saw.

    Args:
        model: on its device.
        objective: what its output means, with its options.
        config: the run, resolved.
        pixels: held-out pictures, uint8 [N, C, H, W], in the order of the data set.
        labels: their true classes, int64 [N].
        stop: asked at every evaluation of the network; a True raises Stopped.
    """

    model: DiT
    objective: Objective
    config: RunConfig
    pixels: Tensor
    labels: Tensor
    stop: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        assert not self.model.training, "probes are for a network in evaluation mode"
        assert len(self.pixels) == len(self.labels) > 0, "each picture has its class"

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.model.parameters()).device

    def velocity(self, x_BCHW: Tensor, t_B: Tensor, labels_B: Tensor) -> Tensor:
        """The network's own velocity at x and times t in [0, 1], float32, in the precision of training."""
        if self.stop():
            raise Stopped
        with autocast(self.config.train, self.device):
            out_BCHW = self.model(x_BCHW, t_B, labels_B)
        return self.objective.velocity(out_BCHW.float(), x_BCHW, t_B)

    def batches(self, most: int, probe: str, size: int | None = None) -> Iterator["Batch"]:
        """Up to `most` pictures, evenly spaced over all of them, at most `size` or `eval.chunk` at a time."""
        count, size = min(most, len(self.pixels)), min(size or len(self.pixels), self.config.eval.chunk)
        for chosen in (torch.arange(count) * len(self.pixels) // count).split(size):
            images_BCHW = to_float(self.pixels[chosen.to(self.pixels.device)].to(self.device))
            labels_B = self.labels[chosen.to(self.labels.device)].to(self.device)
            yield Batch(images_BCHW, labels_B, chosen.to(self.device), zlib.crc32(probe.encode()))


@dataclass(frozen=True, eq=False)
class Batch:
    """Some pictures, and the random numbers that a probe has for each.

    Args:
        x1_BCHW: in [-1, 1].
        labels_B: their classes.
        index_B: their numbers among the held-out pictures.
        seed: the probe's.
    """

    x1_BCHW: Tensor
    labels_B: Tensor
    index_B: Tensor
    seed: int

    def numbers(self, place: int) -> Numbers:
        """Numbers of each picture; those of another place are others."""
        return Numbers(self.seed, Stream.PROBES, self.index_B + (place << 32))

    def noise(self, place: int) -> Tensor:
        """Standard normals in the shape of the pictures."""
        return self.numbers(place).normal(self.x1_BCHW[0].numel()).view_as(self.x1_BCHW)

    def noised(self, t_B: Tensor, place: int) -> tuple[Tensor, Tensor]:
        """x_t between this noise and the pictures at times t, and the true velocity, [B, C, H, W]."""
        x0_BCHW, t = self.noise(place), t_B.view(-1, 1, 1, 1)
        return t * self.x1_BCHW + (1 - t) * x0_BCHW, self.x1_BCHW - x0_BCHW
