"""What is added to the tokens: tables, sinusoids, convolutions, and the controls."""

import math

import pytest
import torch
from measured_variants import DEPTH, DIM, HEAD_DIM, HEADS, logits, make, normals
from sites import site_of
from torch import Tensor
from torch.nn import functional as F

from rope_dit.errors import UserError
from rope_dit.pos_embed.base import Geometry, Grid, PosEmbed
from rope_dit.pos_embed.compose import build
from rope_dit.pos_embed.shuffled import permutation


def added(pos: PosEmbed, grid: Grid | None = None, x: Tensor | None = None, layer: int = 0) -> Tensor:
    """What is added to the tokens, [h, w, D] of one picture."""
    grid = grid or pos.geometry.grid
    x = torch.zeros(1, grid[0] * grid[1], pos.geometry.dim) if x is None else x
    return (pos.add(site_of(pos.geometry, grid, x, layer=layer), x) - x)[0].detach().unflatten(0, grid)


def fresh(spec: str, grid: Grid = (5, 7)) -> PosEmbed:
    pos = build(spec, Geometry(DIM, HEADS, HEAD_DIM, DEPTH, grid))
    with torch.no_grad():
        pos.init_weights(normals(0))
    return pos


def test_learned_axial_adds_a_row_and_a_column():
    pos = make("learned_axial", (3, 4))
    rows, columns = (p.detach() for p in pos.parameters())
    table = added(pos)
    for r in range(3):
        for c in range(4):
            assert torch.equal(table[r, c], rows[r] + columns[c])
    assert not added(pos, layer=1).any()


def test_learned_axial_is_resized_cubically_along_each_axis():
    pos = make("learned_axial", (3, 4))
    as_table = F.interpolate(added(pos).permute(2, 0, 1)[None], (6, 5), mode="bicubic")[0].permute(1, 2, 0)
    torch.testing.assert_close(added(pos, (6, 5)), as_table, rtol=0, atol=1e-5)


def test_sincos1d_is_the_plain_formula():
    pos = make("sincos1d:theta=50", (5, 7))
    for grid in [(5, 7), (2, 9)]:
        expected = [
            [
                f((row * grid[1] + column) * 50.0 ** (-i / (DIM // 2)))
                for i in range(DIM // 2)
                for f in (math.sin, math.cos)
            ]
            for row in range(grid[0])
            for column in range(grid[1])
        ]
        torch.testing.assert_close(added(pos, grid).flatten(0, 1), torch.tensor(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("layers", ["all", "first"])
def test_conv_adds_nine_weighted_neighbours_and_zeros_around_the_picture(layers):
    pos = make(f"conv:layers={layers}")
    x = torch.randn(2, 35, DIM, generator=torch.Generator().manual_seed(0))
    around = F.pad(x.unflatten(1, (5, 7)), (0, 0, 1, 1, 1, 1))  # [2, 7, 9, D]
    for layer in range(DEPTH):
        here = site_of(pos.geometry, None, x, layer=layer)
        if layer and layers == "first":
            assert pos.add(here, x) is x
            continue
        kernel_D33 = next(pos.parameters()).detach()[layer, :, 0]
        moved = [kernel_D33[:, i, j] * around[:, i : i + 5, j : j + 7] for i in range(3) for j in range(3)]
        expected = x + sum(moved).flatten(1, 2)
        torch.testing.assert_close(pos.add(here, x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("layers", ["all", "first"])
def test_conv_starts_as_none_and_its_kernels_have_gradients(layers):
    pos, x = fresh(f"conv:layers={layers}"), torch.ones(1, 35, DIM)
    for layer in range(DEPTH):
        x = pos.add(site_of(pos.geometry, None, x, layer=layer), x)
    assert torch.equal(x, torch.ones(1, 35, DIM))
    x.sum().backward()
    kernels = next(pos.parameters())
    assert len(kernels) == (DEPTH if layers == "all" else 1)
    assert kernels.grad is not None
    assert (kernels.grad != 0).all()


def test_conv_says_that_it_needs_all_tokens():
    pos, x = make("conv"), torch.zeros(1, 9, DIM)
    with pytest.raises(AssertionError, match="needs all 35 tokens"):
        pos.add(site_of(pos.geometry, (5, 7), x), x)


def test_random_belongs_to_the_variant_and_not_to_a_seed():
    pos = make("random", (8, 8))
    table = added(pos)
    assert not list(pos.parameters())
    assert torch.equal(table, added(fresh("random", (8, 8))))
    assert torch.equal(added(pos, (9, 11))[:8, :8], table)
    assert abs(float(table.mean())) < 0.05
    assert float(table.std()) == pytest.approx(0.7, rel=0.05)
    assert float(table.std()) == pytest.approx(float(added(make("sincos2d")).square().mean().sqrt()), rel=0.1)
    assert torch.pdist(table.flatten(0, 1)).min() > 2  # sqrt(2 * 32) * 0.7 = 5.6 in the mean


def test_random_neighbours_are_no_nearer_than_others():
    near = F.cosine_similarity(
        added(make("random", (8, 8)))[:, 1:], added(make("random", (8, 8)))[:, :-1], dim=-1
    )
    assert abs(float(near.mean())) < 0.1


def test_shuffled_is_rope2d_of_permuted_tokens():
    for grid in [(5, 7), (6, 8)]:
        order = permutation(grid[0] * grid[1], torch.device("cpu"))
        assert order.sort().values.tolist() == list(range(len(order)))
        assert (order != torch.arange(len(order))).float().mean() > 0.8
        plain = logits(make("rope2d"), grid).flatten(3).flatten(1, 2)
        shuffled = logits(make("shuffled"), grid).flatten(3).flatten(1, 2)
        torch.testing.assert_close(shuffled, plain[:, order][:, :, order], rtol=0, atol=1e-5)


def test_shuffled_tears_neighbours_apart():
    order = permutation(64, torch.device("cpu"))
    rows, columns = (axis.unflatten(0, (8, 8)).double() for axis in (order // 8, order % 8))
    apart = (rows.diff(dim=1) ** 2 + columns.diff(dim=1) ** 2).sqrt()
    assert apart.mean() > 3  # 4.2 for tokens at random, 1 before


@pytest.mark.parametrize(
    ("spec", "geometry", "words"),
    [
        (
            "learned:std=-1",
            Geometry(32, 4, 8, 2, (5, 7)),
            "learned: option 'std' got -1.0, expected 0 or more",
        ),
        ("learned_axial:std=-1", Geometry(32, 4, 8, 2, (5, 7)), "learned_axial: option 'std' got -1.0"),
        ("random:std=0", Geometry(32, 4, 8, 2, (5, 7)), "random: option 'std' got 0.0"),
        ("sincos1d", Geometry(9, 1, 9, 2, (5, 7)), "needs an even model.dim"),
        ("sincos1d:theta=0", Geometry(32, 4, 8, 2, (5, 7)), "above 0"),
        ("sincos1d", Geometry(32, 4, 8, 2, (5, 7), "jitter"), "got 'jitter', expected positions whose steps"),
        ("conv:layers=some", Geometry(32, 4, 8, 2, (5, 7)), "expected one of all, first"),
        ("shuffled", Geometry(24, 4, 6, 2, (5, 7)), "divisible by 4"),
        ("shuffled:theta=0", Geometry(32, 4, 8, 2, (5, 7)), "above 0"),
        ("shuffled+rope2d", Geometry(32, 4, 8, 2, (5, 7)), "may rotate queries and keys once"),
    ],
)
def test_refusals_are_one_line(spec, geometry, words):
    with pytest.raises(UserError, match=words) as caught:
        build(spec, geometry)
    assert len(str(caught.value)) <= 200
    assert "\n" not in str(caught.value)
