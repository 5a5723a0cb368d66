"""Pictures on the device, as uint8; the batch of a step is a pure function of (seed, step).

Orders and flips are drawn for a block of steps at a time, as `rope_dit.draws` does, which changes no bit.
"""

import torch
from torch import Tensor

from rope_dit.draws import Blocks, block_length
from rope_dit.randomness import Stream, integers


class Batches:
    """Draws training batches; every epoch passes each picture once, in an order of its own.

    Args:
        images: uint8 [N, C, H, W].
        labels: int64 [N].
        batch: pictures a step.
        seed: training seed.
        flip: mirror half of the pictures.
    """

    def __init__(self, images: Tensor, labels: Tensor, *, batch: int, seed: int, flip: bool):
        self.images, self.labels = images, labels
        self.batch, self.seed, self.flip = batch, seed, flip
        steps = block_length(batch)
        self._orders = Blocks(self._drawn_orders, max(1, steps * batch // len(images)))
        self._indices = Blocks(self._drawn_indices, steps)
        self._mirrored = Blocks(self._drawn_flips, steps)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Images [B, C, H, W] in [-1, 1] and labels [B] of step `step` (from 0)."""
        index = self._indices(step)
        images = self.images[index]
        if self.flip:
            images = torch.where(self._mirrored(step), images.flip(3), images)
        return to_float(images), self.labels[index]

    def _drawn_indices(self, steps: range) -> Tensor:
        """Which pictures each of these steps takes, [S, B]: the epochs' orders, one after the other."""
        size, first, last = len(self.images), steps.start * self.batch, steps.stop * self.batch
        orders = [
            self._orders(epoch)[max(0, first - epoch * size) : last - epoch * size]
            for epoch in range(first // size, (last - 1) // size + 1)
        ]
        return torch.cat(orders).view(-1, self.batch)

    def _drawn_orders(self, epochs: range) -> Tensor:
        """Order of the pictures in each epoch, [E, N]: sorted by random 32-bit keys, ties by their number."""
        return self._integers(Stream.BATCH_ORDER, epochs, len(self.images)).sort(stable=True).indices

    def _drawn_flips(self, steps: range) -> Tensor:
        """Which pictures of each step are mirrored, bool [S, B, 1, 1, 1]."""
        words = self._integers(Stream.FLIP, steps, self.batch)
        return (words >= 2**31).view(-1, self.batch, 1, 1, 1)

    def _integers(self, stream: Stream, index: range, count: int) -> Tensor:
        at = torch.arange(index.start, index.stop, device=self.images.device)
        return integers(self.seed, stream, at, count)


def to_float(images: Tensor) -> Tensor:
    """uint8 to float32 in [-1, 1]."""
    return images / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """Float in [-1, 1] to uint8, rounded and clamped: the inverse of `to_float`."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
