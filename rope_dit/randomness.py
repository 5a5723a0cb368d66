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


def philox(counter: Sequence[Tensor], key: tuple[int, int]) -> tuple[Tensor, ...]:
    """Philox 4x32-10: four counter words and two key words to four words, all in [0, 2^32) as int64."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        low0, low1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]  # int64 wraps; its low 64 bits are exact
        c0, c1, c2, c3 = (
            ((low1 >> 32) & _MASK) ^ c1 ^ k0,
            low1 & _MASK,
            ((low0 >> 32) & _MASK) ^ c3 ^ k1,
            low0 & _MASK,
        )
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return c0, c1, c2, c3


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
    blocks = torch.arange((count + 3) // 4, device=index.device)
    counter = (blocks[None, :], (index & _MASK)[:, None], (index >> 32)[:, None],
               torch.full((), int(stream), device=index.device))  # fmt: skip
    words = philox(counter, (seed & _MASK, seed >> 32))
    return torch.stack(words, dim=-1).reshape(len(index), -1)[:, :count]


def uniform(seed: int, stream: Stream, index: Tensor, count: int) -> Tensor:
    """Draw float32 [N, count] uniforms, strictly between 0 and 1; arguments as for `integers`."""
    # 23 bits and a half: the middle of each of 2^23 cells, exact in float32
    return ((integers(seed, stream, index, count) >> 9).float() + 0.5) * 2.0**-23


def normal(seed: int, stream: Stream, index: Tensor, count: int) -> Tensor:
    """Draw float32 [N, count] standard normals (Box and Muller, 1958); arguments as for `integers`."""
    if index.device.type == "mps":  # which has no float64
        return normal(seed, stream, index.cpu(), count).to(index.device)
    words = integers(seed, stream, index, count + count % 2).reshape(len(index), -1, 2)
    radius = torch.sqrt(-2.0 * _log((words[..., 0].double() + 0.5) * 2.0**-32))
    cos, sin = _cos_sin_turns(words[..., 1])
    return torch.stack((radius * cos, radius * sin), dim=-1).float().reshape(len(index), -1)[:, :count]


def name_index(name: str, device: torch.device) -> Tensor:
    """Return the index [1] under which a weight called `name` draws its initial values."""
    return torch.tensor([zlib.crc32(name.encode())], device=device)


def _log(x: Tensor) -> Tensor:
    """Natural logarithm of positive float64, to 1e-15, from exactly rounded operations alone."""
    mantissa, exponent = torch.frexp(x)  # mantissa in [1/2, 1)
    s = (mantissa - math.sqrt(0.5)) / (mantissa + math.sqrt(0.5))
    return (exponent.double() - 0.5) * math.log(2) + 2 * s * _polynomial(
        s * s, [1 / (2 * k + 1) for k in range(11)]
    )


def _cos_sin_turns(word: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of 2 pi word / 2^32, float64: eighth turns by polynomials, the rest by symmetry."""
    quadrant, rest = ((word + 2**29) >> 30) & 3, ((word + 2**29) & (2**30 - 1)) - 2**29
    angle = rest.double() * (math.pi / 2 * 2.0**-30)  # within +-pi/4
    square = angle * angle
    cos = _polynomial(square, [(-1) ** k / math.factorial(2 * k) for k in range(9)])
    sin = angle * _polynomial(square, [(-1) ** k / math.factorial(2 * k + 1) for k in range(9)])
    cos, sin = torch.where(quadrant % 2 == 0, cos, sin), torch.where(quadrant % 2 == 0, sin, cos)
    return torch.where((quadrant == 1) | (quadrant == 2), -cos, cos), torch.where(quadrant >= 2, -sin, sin)


def _polynomial(x: Tensor, coefficients: Sequence[float]) -> Tensor:
    """Horner's rule in separate operations: a fused multiply-add would round differently."""
    result = torch.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        result = result * x + c
    return result
