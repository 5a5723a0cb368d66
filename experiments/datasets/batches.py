"""Pictures on the device, as uint8; the batch of a step is a pure function of (seed, step)."""

import torch
from torch import Tensor

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
        self._orders: dict[int, Tensor] = {}

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Images [B, C, H, W] in [-1, 1] and labels [B] of step `step` (from 0)."""
        index = self.index(step)
        images = to_float(self.images[index])
        if self.flip:
            at = torch.full((1,), step, device=index.device)
            mirrored = integers(self.seed, Stream.FLIP, at, self.batch)[0] >= 2**31
            images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        return images, self.labels[index]

    def index(self, step: int) -> Tensor:
        """Which pictures step `step` takes, [B]."""
        size, start = len(self.images), step * self.batch
        epochs = range(start // size, (start + self.batch - 1) // size + 1)
        order = torch.cat([self._order(epoch) for epoch in epochs])
        begin = start - epochs[0] * size
        return order[begin : begin + self.batch]

    def _order(self, epoch: int) -> Tensor:
        """Order of the pictures in an epoch: sorted by random 32-bit keys, ties by their number."""
        if epoch not in self._orders:
            at = torch.full((1,), epoch, device=self.images.device)
            keys = integers(self.seed, Stream.BATCH_ORDER, at, len(self.images))[0]
            self._orders = {e: o for e, o in self._orders.items() if e == epoch - 1}
            self._orders[epoch] = keys.sort(stable=True).indices
        return self._orders[epoch]


def to_float(images: Tensor) -> Tensor:
    """uint8 to float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def to_uint8(images: Tensor) -> Tensor:
    """Float in [-1, 1] to uint8, rounded and clamped: the inverse of `to_float`."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
