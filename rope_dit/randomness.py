"""Every random number is a pure function of (seed, stream, step or image index, position).

Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) in tensor
operations: counter = (position, index low, index high, stream), key = (seed low, seed high). Uniforms and
normals are made from its integers by +, -, *, /, sqrt and frexp alone, each rounded as IEEE 754 asks, so that
they too have the same bits on every device. Nothing is ever taken from a global generator, so a resumed run
needs no generator state, and all arms of a seed see the same data, noise and times.
"""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_ROUNDS = 10
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)


class Stream(IntEnum):
    """What a random number is for. Values are part of every result: never renumber."""

    BATCH_ORDER = 1
    FLIP = 2
    TIME = 3
    NOISE = 4
    LABEL_DROPOUT = 5
    COUPLING = 6
    SHARED_WEIGHTS = 7
    VARIANT_WEIGHTS = 8
    EVAL_NOISE = 9
    EVAL_CLASS = 10
    SDE_NOISE = 11
    POSITION = 12
    PROBES = 13
    DIRECTIONS = 14


@dataclass(frozen=True)
class Numbers:
    """Random numbers of one stream for some steps.

    Args:
        seed: training seed.
        stream: what they are for.
        index: steps, int64 [S], on the device where they are wanted.
    """

    seed: int
    stream: Stream
    index: Tensor

    def uniform(self, count: int) -> Tensor:
        """Uniforms, float32 [S, count]."""
        return uniform(self.seed, self.stream, self.index, count)

    def normal(self, count: int) -> Tensor:
        """Standard normals, float32 [S, count]."""
        return normal(self.seed, self.stream, self.index, count)


def philox(counter: Sequence[Tensor], key: tuple[int, int]) -> tuple[Tensor, ...]:
    """Philox 4x32-10: four counter words and two key words to four words, all in [0, 2^32) as int64.

    The counter is overwritten: new memory takes longer than the arithmetic.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        # int64 wraps, and its low 64 bits are exact
        low0, low1 = c0.mul_(_MULTIPLIERS[0]), c2.mul_(_MULTIPLIERS[1])
        c0, c2 = _mixed(c1, low1, k0), _mixed(c3, low0, k1)
        c1, c3 = low1, low0  # their upper halves are cut off where they are used
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return c0, c1.bitwise_and_(_MASK), c2, c3.bitwise_and_(_MASK)


def _mixed(word: Tensor, product: Tensor, key: int) -> Tensor:
    """Bits of the word, the product's upper half and the key added; overwrites the word where it fits."""
    high = product >> 32
    word = word.bitwise_xor_(high) if word.shape == high.shape else word ^ high
    return word.bitwise_xor_(key).bitwise_and_(_MASK)


def integers(seed: int, stream: Stream, index: Tensor, count: int) -> Tensor:
    """Draw `count` integers in [0, 2^32) for each index.

    Args:
        seed: the run's training or sampling seed, in [0, 2^64).
        stream: what the numbers are for.
        index: int64 [N], steps or image indices, on the device where the result is wanted.
        count: numbers an index.

    Returns:
        int64 [N, count]. Row i depends on index[i] alone, column j on j alone, so that a longer draw begins
        with a shorter one.
    """
    words = _words(seed, stream, index, count)
    return torch.stack(words, dim=-1).reshape(len(index), -1)[:, :count]


def _words(seed: int, stream: Stream, index: Tensor, count: int) -> tuple[Tensor, ...]:
    """First, second, third and fourth words of all blocks of four, each int64 [N, blocks]."""
    blocks = torch.arange((count + 3) // 4, device=index.device)
    counter = (blocks[None, :], (index & _MASK)[:, None], (index >> 32)[:, None],
               torch.full((), int(stream), device=index.device))  # fmt: skip
    return philox(counter, (seed & _MASK, seed >> 32))


def uniform(seed: int, stream: Stream, index: Tensor, count: int) -> Tensor:
    """Draw float32 [N, count] uniforms, strictly between 0 and 1; arguments as for `integers`."""
    # 23 bits and a half: the middle of each of 2^23 cells, exact in float32
    return ((integers(seed, stream, index, count) >> 9).float() + 0.5) * 2.0**-23


def normal(seed: int, stream: Stream, index: Tensor, count: int) -> Tensor:
    """Draw float32 [N, count] standard normals (Box and Muller, 1958); arguments as for `integers`."""
    if index.device.type == "mps":  # which has no float64
        return normal(seed, stream, index.cpu(), count).to(index.device)
    words = _words(seed, stream, index, count)
    lengths, turns = torch.stack(words[::2]), torch.stack(words[1::2])
    del words  # here and below: memory that is free is taken again, and new memory takes long to come
    lengths = lengths.double().add_(0.5)
    radius = _minus_two_log(lengths, 32).sqrt_()
    del lengths
    cos, sin = _cos_sin_turns(turns, radius)
    # [2, N, blocks] twice -> [N, blocks, 2, 2]; complex numbers are the fastest way to lay pairs side by side
    pairs = torch.view_as_real(torch.complex(cos.float(), sin.float()))
    return pairs.permute(1, 2, 0, 3).reshape(len(index), -1)[:, :count]


def name_index(name: str, device: torch.device) -> Tensor:
    """Return the index [1] under which a weight called `name` draws its initial values."""
    return torch.tensor([zlib.crc32(name.encode())], device=device)


def _minus_two_log(x: Tensor, halvings: int) -> Tensor:
    """-2 log(x / 2^halvings) of positive float64, to 1e-15, from exactly rounded operations alone."""
    mantissa, exponent = torch.frexp(x)  # mantissa in [1/2, 1)
    s = (mantissa - math.sqrt(0.5)).div_(mantissa.add_(math.sqrt(0.5)))
    series = _polynomial(s * s, [1 / (2 * k + 1) for k in range(11)])  # of atanh(s) / s
    return series.mul_(s.mul_(-4)).add_(exponent.double().sub_(halvings + 0.5).mul_(-2 * math.log(2)))


def _cos_sin_turns(word: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of 2 pi word / 2^32 times radius, float64; word is overwritten.

    Eighth turns by polynomials, the rest by symmetry.
    """
    quadrant = word.add_(2**29) >> 30  # 0 to 4, and 4 is 0
    odd, opposite = (quadrant & 1).bool(), (quadrant & 2).bool()
    del quadrant
    angle = word.bitwise_and_(2**30 - 1).sub_(2**29).double().mul_(math.pi / 2 * 2.0**-30)  # within +-pi/4
    square = angle * angle
    cos = _polynomial(square, [(-1) ** k / math.factorial(2 * k) for k in range(9)])
    sin = _polynomial(square, [(-1) ** k / math.factorial(2 * k + 1) for k in range(9)]).mul_(angle)
    del angle, square
    radius = torch.where(opposite, -radius, radius)
    return torch.where(odd, -sin, cos).mul_(radius), torch.where(odd, cos, sin).mul_(radius)


def _polynomial(x: Tensor, coefficients: Sequence[float]) -> Tensor:
    """Horner's rule in separate operations: a fused multiply-add would round differently."""
    *rest, highest = coefficients
    result = x * highest
    for c in reversed(rest[1:]):
        result.add_(c).mul_(x)
    return result.add_(rest[0])
