"""Errors under shifts of networks that are equivariant, that are not, and of velocities that are known."""

import pytest
import torch
from subjects import known, subject

from experiments.scoring.probes import probe

BOTH = ("shift_error_interior", "shift_error_border")
SHAPE = (2, 12, 16)  # 6 x 8 tokens


def found(made) -> tuple[float, float]:
    values = probe("equivariance", made)
    return values[BOTH[0]], values[BOTH[1]]


@pytest.mark.parametrize("settings", [{}, {"registers": 2}, {"objective": "x"}])
def test_without_positions_it_is_exact(settings):
    assert max(found(subject("none", shape=SHAPE, **settings))) < 1e-9
    assert min(found(subject("learned", shape=SHAPE, weights=0.3, **settings))) > 1e-6


@pytest.mark.parametrize("variant", ["learned", "sincos2d", "rope2d", "alibi2d"])
def test_with_positions_it_is_not(variant):
    assert min(found(subject(variant, shape=SHAPE, weights=0.3))) > 1e-6


def test_a_picture_of_columns_by_hand():
    """The velocity is the token's column whatever the picture: 6 rows, columns 0 to 7, variance 63 / 12."""

    def columns(x, t, labels):
        return 0 * x + torch.arange(16).div(2, rounding_mode="floor")

    pixels = torch.zeros(5, 2, 12, 16, dtype=torch.uint8)
    inside, border = found(known(columns, pixels, torch.zeros(5, dtype=torch.int64)))
    # inside twice: 4 rows by columns 2 to 6, rows 2 to 4 by 6 columns, columns 1, 2, 5, 6, rows 1, 4
    number = [4 * 5, 3 * 6, 4 * 4, 2 * 6]
    square = [1, 0, 16, 0]
    assert inside == pytest.approx(
        sum(n * e for n, e in zip(number, square, strict=True)) / sum(number) / 5.25
    )
    every = 6 * (7 * 1 + 49) + 48 * 16
    left = every - sum(n * e for n, e in zip(number, square, strict=True))
    assert border == pytest.approx(left / (4 * 48 - sum(number)) / 5.25)


def test_what_the_border_alone_does_is_not_found_inside():
    """Each token takes its left neighbour's velocity, and at the border there is none."""

    def neighbour(x, t, labels):
        return torch.nn.functional.pad(x, (2, 0))[..., :-2]

    made = subject(shape=SHAPE)
    inside, border = found(known(neighbour, made.pixels, made.labels))
    assert inside == 0
    assert border > 0.05


def test_signs_that_know_nothing_of_each_other_have_2():
    """The velocity is 1 or -1 by lot at each call."""

    def hashed(x, t, labels):
        return torch.where(torch.rand(x.shape, generator=fixed) < 0.5, 1.0, -1.0)

    fixed = torch.Generator().manual_seed(0)
    made = subject(shape=SHAPE, n=64, chunk=64)
    assert found(known(hashed, made.pixels, made.labels)) == (pytest.approx(2, abs=0.1),) * 2


def test_a_grid_without_an_inside_has_a_border_alone():
    assert probe("equivariance", subject(shape=(2, 4, 16))).keys() == {BOTH[1]}
    assert probe("equivariance", subject(shape=(2, 6, 6))).keys() == {BOTH[1]}
    assert probe("equivariance", subject(shape=(2, 2, 2))) == {BOTH[1]: 0.0}
    assert probe("equivariance", subject(shape=(2, 8, 8))).keys() == set(BOTH)


def test_a_velocity_that_is_0_is_equivariant():
    assert found(subject(shape=SHAPE, weights=0)) == (0, 0)
