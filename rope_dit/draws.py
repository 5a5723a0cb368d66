"""What chance decides in training, drawn for a block of steps at a time.

Every number is a function of (seed, stream, step, position), so the length of a block changes no bit. It only
spares operations: the generator takes hundreds of them, however many numbers it is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor

from rope_dit.config import TrainConfig
from rope_dit.couplings.base import Coupling
from rope_dit.densities.base import build_density
from rope_dit.randomness import Numbers, Stream
from rope_dit.registry import COUPLINGS

Batch = Callable[[int], tuple[Tensor, Tensor]]
"""step -> images [B, C, H, W] in [-1, 1] and labels [B], a pure function"""
BLOCK_BYTES = 11 * 2**20
"""of float32 drawn at a time; the generator needs some ten times as much while it works, and more than a
processor's cache holds makes it slower than a block saves"""
MOST_STEPS = 256
COUPLED_STEPS = 8
"""steps that are paired at a time: the host waits for the device once for them"""


@dataclass(frozen=True)
class Draws:
    """What chance decides in one step.

    Args:
        t_B: times in [0, 1].
        noise_BCHW: noise, in the order in which it goes with the pictures.
        drop_B: labels to drop, bool.
        moves_BN: uniforms that move positions; None where nothing moves them.
    """

    t_B: Tensor
    noise_BCHW: Tensor
    drop_B: Tensor
    moves_BN: Tensor | None = None

    def map(self, change: Callable[[Tensor], Tensor]) -> "Draws":
        """Apply `change` to each tensor, as to take some of the rows."""
        moves_BN = None if self.moves_BN is None else change(self.moves_BN)
        return Draws(change(self.t_B), change(self.noise_BCHW), change(self.drop_B), moves_BN)


class Blocks:
    """A function of steps, worked out for `length` consecutive ones at a time."""

    def __init__(self, make: Callable[[range], Tensor], length: int):
        self._make, self._length = make, length
        self._block = -1
        self._rows: tuple[Tensor, ...] = ()

    def __call__(self, step: int) -> Tensor:
        """Its value at `step`."""
        block, row = divmod(step, self._length)
        if block != self._block:
            self._rows = ()  # the last block's memory is free for this one
            self._rows = self._make(range(block * self._length, (block + 1) * self._length)).unbind()
            self._block = block
        return self._rows[row]


def block_length(per_step: int) -> int:
    """Steps to draw at a time, where a step takes so many numbers."""
    return max(1, min(BLOCK_BYTES // (4 * per_step), MOST_STEPS))


class Inputs:
    """What each step is given: pictures, labels and draws of the global batch.

    Args:
        config: of the training.
        batch: gives pictures and labels.
        seed: training seed of all draws.
        moves: uniforms a picture that move positions, see `DiT.num_moves`.
    """

    def __init__(self, config: TrainConfig, batch: Batch, seed: int, moves: int = 0):
        self.config, self.batch, self.seed, self.moves = config, batch, seed, moves
        self._blocks: dict[str, Blocks] = {}

    def __call__(self, step: int) -> tuple[Tensor, Tensor, Draws]:
        """Images [B, C, H, W], labels [B] and draws of `step`."""
        images, labels = self.batch(step)
        if not self._blocks:
            self._blocks = self._made_for(images)
        drawn = {name: block(step).to(images.device) for name, block in self._blocks.items()}
        order = drawn.pop("order", None)
        draw = Draws(**drawn)
        return images, labels, draw if order is None else replace(draw, noise_BCHW=draw.noise_BCHW[order])

    def _made_for(self, images_BCHW: Tensor) -> dict[str, Blocks]:
        """Blocks of all that is drawn for batches of this shape, on this device."""
        config, count, shape = self.config, len(images_BCHW), images_BCHW.shape
        device = torch.device("cpu") if images_BCHW.device.type == "mps" else images_BCHW.device  # no float64
        density, coupling = build_density(config.density), COUPLINGS.bind(config.coupling)()

        def numbers(stream: Stream, steps: range) -> Numbers:
            return Numbers(self.seed, stream, torch.arange(steps.start, steps.stop, device=device))

        def blocks(make: Callable[[range], Tensor], per_step: int) -> Blocks:
            return Blocks(make, min(block_length(per_step), config.steps))

        def times(steps: range) -> Tensor:
            return density.draw(numbers(Stream.TIME, steps), count)

        def noise(steps: range) -> Tensor:
            return numbers(Stream.NOISE, steps).normal(prod(shape)).view(-1, *shape)

        def dropped(steps: range) -> Tensor:
            return numbers(Stream.LABEL_DROPOUT, steps).uniform(count) < config.label_dropout

        def moves(steps: range) -> Tensor:
            return numbers(Stream.POSITION, steps).uniform(count * self.moves).view(-1, count, self.moves)

        found = {
            "t_B": blocks(times, count),
            "noise_BCHW": blocks(noise, prod(shape)),
            "drop_B": blocks(dropped, count),
        }
        if self.moves:
            found["moves_BN"] = blocks(moves, count * self.moves)
        if type(coupling).pair is not Coupling.pair:
            ahead = blocks(noise, prod(shape))  # its own: the steps ahead may lie in another block of noise
            found["order"] = Blocks(
                lambda steps: torch.stack([self._paired(coupling, ahead, step) for step in steps]).to(device),
                min(COUPLED_STEPS, config.steps),
            )
        return found

    def _paired(self, coupling: Coupling, noise: Blocks, step: int) -> Tensor:
        """Which noise goes with each picture of `step`, on the CPU."""
        images, labels = (tensor.cpu() for tensor in self.batch(step))
        numbers = Numbers(self.seed, Stream.COUPLING, torch.tensor([step]))
        order = coupling.pair(images, labels, noise(step).cpu(), numbers)
        return torch.arange(len(labels)) if order is None else order
