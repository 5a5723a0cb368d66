"""Biases that are functions of offsets: against loops, and on other places than the trained ones."""

import re
from dataclasses import replace

import pytest
import torch
from measured_variants import DEPTH, DIM, HEAD_DIM, HEADS, make, noise, normals
from sites import site_of, some_of
from torch import Tensor
from torch.nn import functional as F

from rope_dit.errors import UserError
from rope_dit.extrapolations.compose import Able, Extrapolations
from rope_dit.pos_embed.alibi2d import slopes
from rope_dit.pos_embed.base import Geometry, Grid, PosEmbed
from rope_dit.pos_embed.compose import build

ZERO_AT_FIRST = ["relative_bias", "t5_bias"]


def bias(pos: PosEmbed, grid: Grid | None = None, layer: int = 0, moves_BN: Tensor | None = None) -> Tensor:
    """[B, H, h, w, h, w] on the grid."""
    grid = grid or pos.geometry.grid
    batch = 1 if moves_BN is None else len(moves_BN)
    tokens = torch.zeros(batch, grid[0] * grid[1], DIM)
    site = site_of(pos.geometry, grid, tokens, layer=layer, moves_BN=moves_BN)
    q = torch.zeros(batch, HEADS, grid[0] * grid[1], HEAD_DIM, dtype=torch.float64)
    found = pos.bias(site, q, q)
    assert found is not None
    return found.detach().unflatten(-1, grid).unflatten(-3, grid)


def table(pos: PosEmbed) -> Tensor:
    return dict(pos.named_parameters())["table_LHyx"].detach().double()


def read(tables_Hyx: Tensor, grid: Grid) -> Tensor:
    """[H, h, w, h, w] by loops: the entry of each offset, from the middle."""
    middle = tables_Hyx.shape[1] // 2, tables_Hyx.shape[2] // 2
    places = [(r, c) for r in range(grid[0]) for c in range(grid[1])]
    rows = [[tables_Hyx[:, s - r + middle[0], d - c + middle[1]] for s, d in places] for r, c in places]
    all_pairs = torch.stack([torch.stack(row, -1) for row in rows], -2)
    return all_pairs.unflatten(-1, grid).unflatten(-3, grid)


def same(got: Tensor, expected: Tensor, atol: float = 1e-6) -> None:
    torch.testing.assert_close(got.double(), expected.double(), rtol=0, atol=atol)


def test_relative_bias_is_the_entry_of_each_offset_in_a_table_of_its_layer():
    pos = make("relative_bias", (3, 4))
    for layer in range(DEPTH):
        same(bias(pos, layer=layer)[0], read(table(pos)[layer], (3, 4)))


def test_relative_bias_is_resized_where_a_grid_reaches_farther():
    pos = make("relative_bias", (3, 4))
    for grid, size in [((3, 4), (5, 7)), ((2, 3), (5, 7)), ((5, 4), (9, 7)), ((2, 6), (5, 11))]:
        resized = F.interpolate(table(pos)[:1], size, mode="bicubic")[0]
        same(bias(pos, grid)[0], read(resized, grid), 1e-5)
    same(bias(pos, (5, 7))[0, :, 4, 6, 4, 6], table(pos)[0, :, 2, 3])  # a token with itself keeps its logit


def test_between_indices_relative_bias_is_read_linearly():
    pos = make("relative_bias", (2, 3), positions="interpolate")
    got, entries = bias(pos, (3, 5))[0], table(pos)[0]  # steps of a half
    same(got[:, 0, 0, 2, 4], entries[:, 2, 4])
    same(got[:, 0, 0, 0, 1], (entries[:, 1, 2] + entries[:, 1, 3]) / 2)
    same(got[:, 2, 3, 1, 2], entries[:, 0:2, 1:3].mean((1, 2)))


def test_larger_grids_within_the_trained_range_leave_the_table_as_it_is():
    pos = make("relative_bias", (2, 4), positions="normalized")
    got, entries = bias(pos, (4, 8))[0], table(pos)[0]
    same(got[:, 0, 0, 2, 6], entries[:, 2, 6])
    same(got[:, 0, 0, 0, 7], entries[:, 1, 6])  # three steps and a half: beyond its end


@pytest.mark.parametrize("spec", ["relative_bias", "t5_bias"])
@pytest.mark.parametrize("positions", ["normalized", "normalized:by=max", "centered", "shift"])
def test_offsets_count_in_steps_of_the_trained_grid(spec, positions):
    same(bias(make(spec, (3, 4), positions=positions)), bias(make(spec, (3, 4))), 1e-5)


@pytest.mark.parametrize("spec", ["relative_bias", "t5_bias", "alibi2d"])
def test_moved_pictures_have_biases_of_their_own(spec):
    """A factor of 4 for the second; the first stands still; the third is half as large."""
    pos = make(spec, (2, 3), positions="rescale:most=4")
    moves = torch.tensor([[0.5], [1.0 - 1e-9], [0.25]], dtype=torch.float64)
    still, large, small = bias(pos, moves_BN=moves)
    same(still, bias(pos)[0])
    if spec == "relative_bias":  # beyond the table's ends it is read there
        same(large[:, 0, 0, 1, 1], table(pos)[0, :, 2, 4])
        same(small[:, 0, 0, 0, 1], (table(pos)[0, :, 1, 2] + table(pos)[0, :, 1, 3]) / 2)
    if spec == "alibi2d":
        same(large, 4 * still)
        same(small, still / 2)
    site = site_of(pos.geometry, (2, 3), torch.zeros(3, 6, DIM), moves_BN=moves)
    some, q = some_of(site, torch.tensor([0, 4, 5])), torch.zeros(3, HEADS, 3, HEAD_DIM)
    chosen = torch.stack((still, large, small)).flatten(4).flatten(2, 3)[:, :, [0, 4, 5]][..., [0, 4, 5]]
    found = pos.bias(some, q, q)
    assert found is not None
    same(found.detach(), chosen)


@pytest.mark.parametrize("spec", ["relative_bias", "alibi2d", "relative_bias+rope2d"])
def test_extrapolations_squeeze_offsets_once(spec):
    """`pi` halves them, and no table is resized then; `ntk` leaves them, and the table is."""
    pos = make(spec, (2, 3))
    site, q = site_of(pos.geometry, (4, 6)), torch.zeros(1, HEADS, 24, HEAD_DIM)

    def stretched(how: str) -> Tensor:
        able = Able(spec, "index", coordinates=True, frequencies=True, grows=True)
        stretch = Extrapolations(how, able).stretch((2, 3), (4, 6), site.t_B)
        assert stretch is not None
        rows, columns = pos.squeezed(stretch, site)
        found = pos.bias(replace(site, rows=rows, columns=columns, stretch=stretch), q, q)
        assert found is not None
        return found.detach()[0].unflatten(-1, (4, 6)).unflatten(-3, (4, 6))

    plain, halved = bias(pos, (4, 6))[0], stretched("pi")
    same(stretched("ntk"), plain)
    if spec == "alibi2d":
        same(halved, plain / 2)
    else:
        (entries,) = (p.detach()[0] for name, p in pos.named_parameters() if name.endswith("table_LHyx"))
        same(halved[:, 0, 0, 2, 4], entries[:, 2, 4])
        same(halved[:, 1, 1, 1, 2], entries[:, 1, 2:4].mean(-1))
        same(halved[:, 0, 0, 3, 5], entries[:, 2, 4])  # half a step beyond its end


@pytest.mark.parametrize("spec", ZERO_AT_FIRST)
def test_step_0_is_that_of_none_and_gradients_flow(spec):
    pos = build(spec, Geometry(DIM, HEADS, HEAD_DIM, DEPTH, (3, 4)))
    with torch.no_grad():
        pos.init_weights(normals(0))
    q = torch.zeros(1, HEADS, 12, HEAD_DIM)
    found = pos.bias(site_of(pos.geometry), q, q)
    assert found is not None
    assert not found.any()
    (found * noise(*found.shape).float()).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in pos.parameters())


def test_alibi2d_on_a_row_is_alibi():
    """Published: 1/2, 1/4, ... 1/256 for 8 heads; for 12 those of 8, then 2^-1/2, 2^-3/2, ... of 16."""
    assert slopes(8) == [2.0**-i for i in range(1, 9)]
    assert slopes(16) == [2 ** (-i / 2) for i in range(1, 17)]
    assert slopes(12) == slopes(8) + slopes(16)[::2][:4]
    got = bias(make("alibi2d", (1, 6)))[0, :, 0, :, 0]
    for h, slope in enumerate([2**-2, 2**-4, 2**-6, 2**-8]):
        same(got[h], torch.tensor([[-slope * abs(i - j) for j in range(6)] for i in range(6)]))


@pytest.mark.parametrize(("distance", "expected"), [("euclidean", 5.0), ("manhattan", 7.0)])
def test_alibi2d_falls_with_the_distance_in_the_plane(distance, expected):
    got = bias(make(f"alibi2d:distance={distance}", (4, 5)))[0]
    same(got[:, 0, 0, 3, 4], torch.tensor([-expected * 4.0**-i for i in range(1, 5)]))
    same(got[:, 3, 4, 0, 0], got[:, 0, 0, 3, 4])


def test_t5_bias_sums_buckets_of_both_axes_in_all_layers():
    pos = make("t5_bias:buckets=4,reach=8", (1, 9))
    weights = {name: p.detach().double() for name, p in pos.named_parameters()}
    at = [0, 1, 2, 2, 3, 3, 3, 3, 3]  # 2 and 3 share a bucket, 4 begins the last
    for grid in [(1, 9), (3, 12)]:
        got = bias(pos, grid, layer=1)[0]
        for distance, bucket in enumerate(at):
            same(
                got[:, 0, 0, 0, distance],
                weights["rows_Hb"][:, 0] + weights["columns_Hb"][:, 4 * (distance > 0) + bucket],
            )
            same(got[:, 0, distance, 0, 0], weights["rows_Hb"][:, 0] + weights["columns_Hb"][:, bucket])
    same(got[:, 0, 0, 2, 11], weights["rows_Hb"][:, 6] + weights["columns_Hb"][:, 7])
    same(got[:, 2, 0, 1, 0], weights["rows_Hb"][:, 1] + weights["columns_Hb"][:, 0])


def scattering(tensor: Tensor) -> set[str]:
    """Functions that a gradient goes back through which add to one place from many."""
    found, left = set[str](), [tensor.grad_fn]
    while left:
        if (node := left.pop()) is not None:
            found.add(type(node).__name__)
            left += [before for before, _ in node.next_functions]
    return {name for name in found if re.match("Index|Gather|Embedding|Take|AsStrided|Scatter|Grid", name)}


@pytest.mark.parametrize("positions", ["index", "rescale"])
@pytest.mark.parametrize("spec", ["relative_bias", "relative_key", "t5_bias", "pape:std=1", "tupe"])
def test_gradients_of_biases_are_not_scattered(spec, positions):
    """On CUDA, additions to one place from many come in no fixed order."""
    pos = make(spec, (2, 3), positions=positions)
    moves = torch.full((2, 1), 0.7) if positions == "rescale" else None
    q = torch.zeros(2, HEADS, 6, HEAD_DIM)
    found = pos.bias(site_of(pos.geometry, None, torch.zeros(2, 6, DIM), moves_BN=moves), q, q)
    assert found is not None
    assert not scattering(found)
    assert scattering(next(pos.parameters())[torch.tensor([0, 0])])


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("relative_bias:std=-1", "relative_bias: option 'std' got -1.0, expected 0 or more"),
        ("t5_bias:buckets=1", "option 'buckets' got 1, expected 2 or more"),
        ("t5_bias:reach=4", "option 'reach' got 4, expected more than half of the buckets, 4"),
        ("alibi2d:distance=city", "option 'distance' got 'city', expected one of euclidean, manhattan"),
    ],
)
def test_refusals_are_one_line(spec, words):
    with pytest.raises(UserError, match=words) as caught:
        build(spec, Geometry(DIM, HEADS, HEAD_DIM, DEPTH, (5, 7)))
    assert len(str(caught.value)) <= 200
    assert "\n" not in str(caught.value)
