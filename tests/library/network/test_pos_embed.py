"""What single positional embeddings promise; what all do stands in contract_variants.py."""

import math

import pytest
import torch
from contract_variants import CHECKS
from measured_variants import DEPTH, DIM, HEAD_DIM, HEADS, make, noise, normals
from sites import site_of
from torch import Tensor
from torch.nn import functional as F

from rope_dit.errors import UserError
from rope_dit.pos_embed.base import Geometry, Grid, PosEmbed, Site
from rope_dit.pos_embed.compose import Composite, build
from rope_dit.positions.coordinates import Coordinates


def site(grid: Grid) -> Site:
    return site_of(Geometry(DIM, HEADS, HEAD_DIM, DEPTH, (5, 7)), grid)


def at(pos: PosEmbed, grid: Grid) -> Site:
    return site_of(pos.geometry, grid)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_composite_keeps_the_contract(check):
    if check.__name__ != "instances_with_other_options_share_nothing":  # which is about the options of one
        check("learned+rope2d")


def rotated(spec: str, grid: Grid, head_dim: int, x_K: list[float]) -> Tensor:
    """One query at every token, rotated: [h, w, K]."""
    x = torch.tensor(x_K, dtype=torch.float64).expand(1, HEADS, grid[0] * grid[1], head_dim)
    return make(spec, grid, head_dim).rotate(site(grid), x, x)[0][0, 0].unflatten(0, grid)


def expect(got: Tensor, expected: list[float]) -> None:
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-6)


def test_rope2d_angles_by_hand():
    cos, sin = math.cos, math.sin
    out = rotated("rope2d", (2, 3), 4, [1, 0, 0, 1])  # one pair an axis: (1, 0) and (0, 1)
    expect(out[1, 2], [cos(1), sin(1), -sin(2), cos(2)])
    out = rotated("rope2d:theta=100", (2, 3), 8, [1, 0, 0, 2, 3, 0, 0, 4])  # angles 1 and 0.1 a patch
    row = [cos(1), -2 * sin(0.1), sin(1), 2 * cos(0.1)]  # channels pair as (0, 2) and (1, 3)
    expect(out[1, 2], [*row, 3 * cos(2), -4 * sin(0.2), 3 * sin(2), 4 * cos(0.2)])


def test_rope1d_angles_by_hand():
    cos, sin = math.cos, math.sin
    out = rotated("rope1d:theta=10000", (2, 3), 4, [1, 0, 0, 2])  # angles 1 and 0.01 a token
    for raster in range(6):
        a, b = float(raster), raster / 100
        expect(out.flatten(0, 1)[raster], [cos(a), -2 * sin(b), sin(a), 2 * cos(b)])


def test_rope2d_on_one_row_is_rope1d_on_the_column_half():
    q, k = noise(2, 1, HEADS, 6, 8)
    two = make("rope2d", (1, 6), 8).rotate(site((1, 6)), q, k)
    one = make("rope1d", (1, 6), 4).rotate(site((1, 6)), q[..., 4:], k[..., 4:])
    for of_two, of_one, x in zip(two, one, (q, k), strict=True):
        assert torch.equal(of_two[..., :4], x[..., :4])
        assert torch.equal(of_two[..., 4:], of_one)


def test_sincos2d_is_the_plain_formula():
    quarter, h, w = DIM // 4, 5, 7
    frequency = [50.0 ** (-i / quarter) for i in range(quarter)]
    expected = [
        [
            f(position * omega)
            for position in (row, column)
            for f in (math.sin, math.cos)
            for omega in frequency
        ]
        for row in range(h)
        for column in range(w)
    ]
    for trained in [(h, w), (3, 3)]:
        pos = make("sincos2d:theta=50", trained)
        table = pos.add(at(pos, (h, w)), torch.zeros(1, h * w, DIM))[0]
        torch.testing.assert_close(table, torch.tensor(expected), rtol=0, atol=1e-6)


def test_learned_table_is_resized_where_the_grid_asks_for_it():
    pos, zeros = make("learned", (4, 6)), torch.zeros(1, 8 * 12, DIM)
    table_hwD = pos.add(at(pos, (4, 6)), zeros[:, :24])[0].unflatten(0, (4, 6))
    large = pos.add(at(pos, (8, 12)), zeros)[0].unflatten(0, (8, 12))
    smooth = F.interpolate(table_hwD.permute(2, 0, 1)[None], (8, 12), mode="bicubic")[0].permute(1, 2, 0)
    torch.testing.assert_close(large, smooth)
    with torch.no_grad():
        dict(pos.named_parameters())["table_TD"].fill_(0.5)
    torch.testing.assert_close(pos.add(at(pos, (8, 12)), zeros), torch.full_like(zeros, 0.5))


def axes(spec: str, trained: Grid, grid: Grid, moves_BN: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Rows and columns of a grid, [..., h] and [..., w]."""
    places = Coordinates(spec, trained)(grid, moves_BN=moves_BN)
    rows, columns = (axis.unflatten(-1, grid) for axis in (places.rows, places.columns))
    return rows[..., 0], columns[..., 0, :]


@pytest.mark.parametrize(
    ("spec", "grid", "rows", "columns"),
    [
        ("normalized", (2, 4), [-0.5, 0.5], [-0.75, -0.25, 0.25, 0.75]),
        ("normalized:by=min", (2, 4), [-0.5, 0.5], [-0.5, 0.5, 1.5, 2.5]),
        ("normalized:by=max", (2, 4), [-0.75, -0.25], [-0.75, -0.25, 0.25, 0.75]),
        ("centered", (2, 4), [-0.5, 0.5], [-1.5, -0.5, 0.5, 1.5]),
        ("interpolate", (2, 5), [0, 1], [0, 0.75, 1.5, 2.25, 3]),
        ("interpolate", (2, 2), [0, 1], [0, 1]),
        ("centered+interpolate", (2, 7), [-0.5, 0.5], [-1.5, -1, -0.5, 0, 0.5, 1, 1.5]),
    ],
)
def test_places_by_hand(spec, grid, rows, columns):
    got = axes(spec, (2, 4), grid)
    expect(got[0], rows)
    expect(got[1], columns)


def test_what_moves_tokens_goes_by_its_stage_and_has_numbers_of_its_own():
    """Shifted, then stretched, each axis by itself, then both together."""
    numbers = torch.tensor([[0.75, 0.5, 1.0, 0.25, 0.0]], dtype=torch.float64).clamp(1e-9, 1 - 1e-9)
    rows, columns = axes("rescale:most=4+jitter:most=2+shift:amount=2", (2, 3), (2, 3), numbers)
    expect(rows[0], [1 * 2 / 4, 2 * 2 / 4])
    expect(columns[0], [0 * 2**-0.5 / 4, 1 * 2**-0.5 / 4, 2 * 2**-0.5 / 4])


def test_random_places_are_those_of_the_smallest_numbers_on_each_axis():
    numbers = torch.tensor([[0.5, 0.1, 0.9, 0.2, 0.3, 0.8, 0.4, 0.7, 0.6, 0.05]], dtype=torch.float64)
    rows, columns = axes("random:range=5", (2, 3), (2, 3), numbers)
    expect(rows[0], [1, 3])
    expect(columns[0], [1, 3, 4])


def test_none_is_the_identity():
    pos, x, q = make("none"), noise(1, 35, DIM), noise(1, HEADS, 35, HEAD_DIM)
    assert pos.add(site((5, 7)), x) is x
    assert pos.rotate(site((5, 7)), q, q) == (q, q)
    assert pos.bias(site((5, 7)), q, q) is None


def test_composite_applies_both_parts():
    pos, here = make("rope2d+learned"), site((5, 7))
    learned, rope2d = pos.parts
    x, q, k = noise(1, 35, DIM), *noise(2, 1, HEADS, 35, HEAD_DIM)
    assert torch.equal(pos.add(here, x), learned.add(here, x))
    assert all(
        torch.equal(*pair) for pair in zip(pos.rotate(here, q, k), rope2d.rotate(here, q, k), strict=True)
    )


def test_parts_of_a_composite_start_as_they_do_alone_and_apart():
    geometry = Geometry(DIM, HEADS, HEAD_DIM, DEPTH, (5, 7))
    alone, both = build("learned:std=1", geometry), build("rope2d+learned:std=1", geometry)
    twice = Composite(geometry, [build(f"learned:std={std}", geometry) for std in (1, 2)])
    with torch.no_grad():
        for pos in (alone, both, twice):
            pos.init_weights(normals(0))
    (a,), (b,), (c, d) = ([p.detach().flatten() for p in pos.parameters()] for pos in (alone, both, twice))
    assert torch.equal(a, b)
    assert torch.equal(a, c)
    assert abs(float(torch.corrcoef(torch.stack((c, d)))[0, 1])) < 0.2


def test_composite_adds_biases():
    class Biased(PosEmbed):
        def bias(self, site, q_BHTK, k_BHTK):
            return torch.full((1, HEADS, 35, 35), 2.0)

    geometry = Geometry(DIM, HEADS, HEAD_DIM, DEPTH, (5, 7))
    pos = Composite(geometry, [PosEmbed(geometry), Biased(geometry), Biased(geometry), PosEmbed(geometry)])
    bias = pos.bias(site((5, 7)), *noise(2, 1, HEADS, 35, HEAD_DIM))
    assert bias is not None
    assert (bias == 4).all()


@pytest.mark.parametrize(
    ("spec", "geometry", "words"),
    [
        ("rope1d+rope2d", Geometry(32, 4, 8, 2, (5, 7)), "may rotate queries and keys once"),
        ("rope2d+rope2d:theta=10", Geometry(32, 4, 8, 2, (5, 7)), "'rope2d' is given twice"),
        ("rope2d", Geometry(24, 4, 6, 2, (5, 7)), "divisible by 4"),
        ("rope1d", Geometry(12, 4, 3, 2, (5, 7)), "even head width"),
        ("sincos2d", Geometry(30, 5, 6, 2, (5, 7)), "divisible by 4"),
        ("rope2d:theta=0", Geometry(32, 4, 8, 2, (5, 7)), "above 0"),
        ("rope1d:theta=-1", Geometry(32, 4, 8, 2, (5, 7)), "above 0"),
        ("sincos2d:theta=-0.0", Geometry(32, 4, 8, 2, (5, 7)), "above 0"),
        ("rope1d", Geometry(32, 4, 8, 2, (5, 7), "jitter"), "got 'jitter', expected positions whose steps"),
        ("rope1d", Geometry(32, 4, 8, 2, (5, 7), "normalized"), "such as index"),
        ("rope1d", Geometry(32, 4, 8, 2, (5, 7), "interpolate+shift"), "such as index"),
        ("rope2dd", Geometry(32, 4, 8, 2, (5, 7)), "Did you mean 'rope2d'"),
    ],
)
def test_refusals_are_one_line(spec, geometry, words):
    with pytest.raises(UserError, match=words) as caught:
        build(spec, geometry)
    assert len(str(caught.value)) <= 200
    assert "\n" not in str(caught.value)
