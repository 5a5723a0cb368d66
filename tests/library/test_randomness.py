"""The numbers behind every draw: published vectors, exactness, distribution, independence of shapes."""

import numpy as np
import pytest
import torch
from scipy import stats

from rope_dit.randomness import Stream, integers, normal, philox, uniform

# Random123's known answers (kat_vectors, philox4x32 with 10 rounds): counter, key, result
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_philox_gives_the_published_vectors(counter, key, expected):
    k0, k1 = words(key)
    result = philox([torch.tensor([word]) for word in words(counter)], (k0, k1))
    assert [int(word) for word in result] == words(expected)


def test_counter_and_key_are_laid_out_as_documented():
    seed, index = (7 << 32) | 5, (3 << 32) | 9
    drawn = integers(seed, Stream.NOISE, torch.tensor([index]), 8)[0, 4:]
    counter = [torch.tensor([word]) for word in (1, 9, 3, int(Stream.NOISE))]
    assert drawn.tolist() == [int(word) for word in philox(counter, (5, 7))]


def test_rows_depend_on_their_index_alone_and_longer_draws_begin_with_shorter():
    index = torch.tensor([4, 0, 1 << 40])
    for draw in (integers, uniform, normal):
        together = draw(3, Stream.NOISE, index, 101)
        for row, i in zip(together, index, strict=True):
            assert torch.equal(draw(3, Stream.NOISE, i[None], 37)[0], row[:37])


def test_seed_stream_and_index_all_matter():
    draws = [
        integers(s, stream, torch.tensor([i]), 4)
        for s in (0, 1, 1 << 32)
        for stream in Stream
        for i in (0, 1, 1 << 32)
    ]
    assert len({tuple(d[0].tolist()) for d in draws}) == len(draws)


def test_uniforms_and_normals_have_their_distribution():
    index = torch.arange(100)
    u, z = uniform(0, Stream.TIME, index, 2000).numpy(), normal(0, Stream.NOISE, index, 2000).numpy()
    assert u.min() > 0
    assert u.max() < 1
    assert stats.kstest(u.ravel(), "uniform").pvalue > 1e-3
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    assert (
        abs(np.corrcoef(z[:, ::2].ravel(), z[:, 1::2].ravel())[0, 1]) < 0.01
    )  # the two of a Box-Muller pair


def test_normals_are_exact_to_float32():
    index = torch.arange(50)
    w = integers(1, Stream.NOISE, index, 400).numpy().reshape(50, 200, 2).astype(np.float64)
    radius, angle = np.sqrt(-2 * np.log((w[..., 0] + 0.5) / 2**32)), 2 * np.pi * w[..., 1] / 2**32
    expected = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1).reshape(50, 400)
    np.testing.assert_allclose(normal(1, Stream.NOISE, index, 400).numpy(), expected, rtol=2e-7, atol=1e-14)


@pytest.mark.gpu
def test_cuda_gives_the_same_bits():
    index = torch.arange(64)
    for draw in (integers, uniform, normal):
        assert torch.equal(draw(9, Stream.NOISE, index, 999), draw(9, Stream.NOISE, index.cuda(), 999).cpu())
