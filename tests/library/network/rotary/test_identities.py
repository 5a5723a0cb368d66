"""What defines rotary variants: with some settings or weights one is another, up to the order of channels."""

import math
from itertools import pairwise

import pytest
import torch
from measured_variants import DEPTH, HEADS, noise, normals
from sites import site_of
from torch import Tensor

from rope_dit.pos_embed.base import Geometry, Grid, PosEmbed
from rope_dit.pos_embed.compose import build
from rope_dit.pos_embed.hilbert import hilbert_path
from rope_dit.pos_embed.skew import cayley, exponential, exponential_of_4, parts_of_4, skew_matrix

GRID: Grid = (5, 7)
K = 16


@torch.no_grad()
def fresh(
    spec: str, grid: Grid = GRID, head_dim: int = K, positions: str = "index", seed: int = 0
) -> PosEmbed:
    """A variant as it starts."""
    pos = build(spec, Geometry(HEADS * head_dim, HEADS, head_dim, DEPTH, grid, positions))
    pos.init_weights(normals(seed))
    return pos


def turned(pos: PosEmbed, x_BHTK: Tensor, grid: Grid | None = None, layer: int = 1) -> Tensor:
    """Queries at all places of a grid; keys turn alike."""
    site = site_of(pos.geometry, grid, layer=layer)
    q, k = pos.rotate(site, x_BHTK, x_BHTK)
    assert torch.equal(q, k)
    return q


def queries(head_dim: int = K, grid: Grid = GRID) -> Tensor:
    return noise(1, HEADS, grid[0] * grid[1], head_dim)


def same(a: Tensor, b: Tensor, atol: float = 0.0) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=atol)


def axial_order(pairs_alternate: bool) -> Tensor:
    """Channels of rope2d (half) so that neighbours pair: rows first, or row and column in turn."""
    quarter = K // 4
    rows = [(i, i + quarter) for i in range(quarter)]
    columns = [(K // 2 + i, K // 2 + i + quarter) for i in range(quarter)]
    pairs = [p for two in zip(rows, columns, strict=True) for p in two] if pairs_alternate else rows + columns
    return torch.tensor([channel for pair in pairs for channel in pair])


@pytest.mark.parametrize("grid", [GRID, (9, 2)])
@pytest.mark.parametrize("variant", ["rope2d", "rope2d_learned", "rope1d", "rope2d_directions"])
def test_pairing_is_an_order_of_channels(variant, grid):
    halves, neighbours, q = fresh(variant), fresh(f"{variant}:pairing=interleaved"), queries(grid=grid)
    width = K // halves.axes
    order = [a * width + i + half * width // 2 for a in range(halves.axes)
             for i in range(width // 2) for half in (0, 1)]  # fmt: skip
    same(turned(halves, q, grid)[..., order], turned(neighbours, q[..., order], grid))


@pytest.mark.parametrize(
    "spec", ["rope2d_learned", "harope", "rope2d_directions:directions=2,ladder=shared", "rope2d:fraction=1"]
)
@pytest.mark.parametrize("grid", [GRID, (9, 2)])
def test_starts_as_rope2d_bit_for_bit(spec, grid):
    q = queries(grid=grid)
    for theta in (100, 7.5):
        one = fresh(f"{spec}{',' if ':' in spec else ':'}theta={theta}")
        # directions along the columns have a cosine of 6e-17
        same(turned(one, q, grid), turned(fresh(f"rope2d:theta={theta}"), q, grid), 1e-6 * ("ladder" in spec))


@pytest.mark.parametrize("form", ["free", "string", "comrope"])
@pytest.mark.parametrize("block", [2, 4, 8])
def test_liere_starts_as_rope2d(form, block):
    if (form, block) == ("string", 2):
        pytest.skip("refused")
    order, q = axial_order(pairs_alternate=True), queries()
    if form == "comrope" or block == 2:  # whole blocks turn by one axis
        pairs = [order.view(-1, 2, 2)[:, axis] for axis in (0, 1)]
        blocks = [one.reshape(-1, block) for one in pairs]
        order = torch.stack(blocks, dim=1).flatten()
    got = turned(fresh(f"liere:block={block},form={form}"), q[..., order])
    same(got, turned(fresh("rope2d"), q)[..., order], 2e-6)


def test_liere_of_blocks_of_two_is_mixed():
    liere, mixed, q = fresh("liere:block=2"), fresh("rope2d_mixed"), queries()
    waves = noise(DEPTH, HEADS, 2, K // 2)
    with torch.no_grad():
        mixed.waves.copy_(waves)
        liere.skew.copy_((waves.transpose(-1, -2).unsqueeze(-1) - liere.start_n2d).float())
    order = torch.tensor([c for i in range(K // 4) for c in (i, i + K // 4)])
    order = torch.cat((order, order + K // 2))
    same(turned(liere, q[..., order]), turned(mixed, q)[..., order], 1e-5)


def test_closed_forms_are_the_matrix_exponential():
    eye = torch.eye(4, dtype=torch.float64)
    for block in (2, 4, 8):
        numbers = 3 * noise(5, block * (block - 1) // 2)
        expected = torch.linalg.matrix_exp(skew_matrix(numbers, block))
        same(exponential(numbers, block), expected, 1e-12)
        if block == 4:
            parts = torch.einsum("nd,dpij->npij", numbers, parts_of_4().double())
            same(exponential_of_4(parts, eye), expected, 1e-12)
        matrix = cayley(numbers, block)
        same(matrix @ matrix.mT, torch.eye(block, dtype=matrix.dtype).expand(5, -1, -1), 1e-12)
    at_rest = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    turned = exponential_of_4(torch.einsum("d,dpij->pij", at_rest, parts_of_4().double()), eye)
    assert torch.equal(turned, eye)
    (slope,) = torch.autograd.grad(turned[1, 0], at_rest)
    same(slope, torch.tensor([1.0, 0, 0, 0, 0, 0], dtype=torch.float64), 1e-12)


def test_mixed_starts_as_axial_rope_in_rotated_coordinates():
    pos, size = fresh("rope2d_mixed"), torch.tensor([10.0 ** (-4 * i / K) for i in range(K // 4)])
    row, column = pos.waves.detach().unbind(-2)
    same(torch.hypot(row, column), size.repeat(2).expand_as(row), 1e-6)
    first, second = (torch.complex(row, column)[..., half] for half in (slice(K // 4), slice(K // 4, None)))
    same((second / first).abs(), torch.ones_like(second.real), 1e-5)
    same((second / first).angle(), torch.full_like(second.real, math.pi / 2), 1e-5)
    angles = first.angle()
    same(angles, angles[..., :1].expand_as(angles), 1e-5)
    assert angles[..., 0].unique().numel() == DEPTH * HEADS
    spread = torch.cat([fresh("rope2d_mixed", seed=s).waves[:, :, :, 0].flatten(0, 1) for s in range(60)])
    quarters = (torch.atan2(spread[:, 1], spread[:, 0]) / (math.pi / 2)).floor().long() % 4
    counts = torch.bincount(quarters, minlength=4)
    assert ((counts - len(spread) / 4).abs() < 4 * math.sqrt(len(spread) * 3 / 16)).all()


def test_mixed_at_angle_0_is_rope2d():
    pos, q = fresh("rope2d_mixed"), queries()
    with torch.no_grad():
        pos.waves.copy_(pos.rotated(torch.tensor([1.0, 0.0]).expand(DEPTH, HEADS, 2)))
    same(turned(pos, q), turned(fresh("rope2d:theta=10"), q), 1e-6)


def test_each_layer_and_head_has_weights_of_its_own():
    for spec in ("rope2d_learned", "rope2d_mixed", "harope", "liere", "pope"):
        pos, q = fresh(spec), queries()
        with torch.no_grad():
            before = pos.rotate(site_of(pos.geometry, layer=0), q, q)[0]
            for p in pos.parameters():
                p[1, 2] -= 0.3
            here, there = (pos.rotate(site_of(pos.geometry, layer=layer), q, q)[0] for layer in (0, 1))
        same(here, before)
        changed = (there - fresh(spec).rotate(site_of(pos.geometry, layer=1), q, q)[0]).abs().amax((0, 2, 3))
        assert (changed > 1e-3).tolist() == [False, False, True, False], spec


def test_a_fraction_turns_the_first_channels_as_a_narrower_head():
    part, narrow, q = fresh("rope2d:fraction=0.5"), fresh("rope2d", head_dim=K // 2), queries()
    same(turned(part, q)[..., K // 2 :], q[..., K // 2 :])
    same(turned(part, q)[..., : K // 2], turned(narrow, q[..., : K // 2]))


def test_directions_by_hand():
    grid, x = (1, 2), torch.tensor([1.0, 0, 0, 0, 0, 0, 0, 0], dtype=torch.float64)
    pos = fresh("rope2d_directions:directions=2,spread=golden,ladder=shared", grid, head_dim=8)
    golden = math.pi * (3 - math.sqrt(5)) / 2  # half of the golden angle, 137.5 degrees
    for channel, partner, angle in [(0, 2, 0.0), (4, 6, math.sin(golden)), (5, 7, 0.1 * math.sin(golden))]:
        out = turned(pos, x.roll(channel).expand(1, HEADS, 2, 8))[0, 0, 1]
        same(out[[channel, partner]], torch.tensor([math.cos(angle), math.sin(angle)]).double(), 1e-6)
    assert math.degrees(golden) == pytest.approx(68.754, abs=1e-3)


def test_spherical_turns_triples_and_leaves_the_rest():
    pos, grid = fresh("rope_spherical", (2, 3), head_dim=8), (2, 3)
    x = noise(8)
    out = turned(pos, x.expand(1, HEADS, 6, 8), grid)[0, 0]
    for row in range(2):
        for column in range(3):
            got = out[row * 3 + column]
            for i, f in enumerate((1.0, 0.1)):
                (cz, sz), (cx, sx) = ((math.cos(n * f), math.sin(n * f)) for n in (row, column))
                rx = torch.tensor([[1, 0, 0], [0, cx, -sx], [0, sx, cx]]).double()
                rz = torch.tensor([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]]).double()
                same(got[3 * i : 3 * i + 3], rz @ rx @ x[3 * i : 3 * i + 3], 1e-6)
            same(got[6:], x[6:])


def test_pope_by_its_equation():
    pos, grid = fresh("pope:theta=10", (2, 3), head_dim=4), (2, 3)
    with torch.no_grad():
        pos.delta.copy_(-3.5 + 4 * noise(DEPTH, HEADS, 4))  # some beyond either bound
    q, k = noise(2, 1, HEADS, 6, 4)
    got = (lambda a, b: a @ b.mT)(*pos.rotate(site_of(pos.geometry, grid, layer=1), q, k))[0]
    omega, delta = [1.0, 10**-0.5] * 2, pos.delta.detach().clamp(-2 * math.pi, 0)[1]
    sp = torch.nn.functional.softplus
    for h in range(HEADS):
        for i in range(6):
            for j in range(6):
                away = [i // 3 - j // 3] * 2 + [i % 3 - j % 3] * 2
                phase = [math.cos(omega[c] * away[c] + float(delta[h, c])) for c in range(4)]
                expected = (sp(q[0, h, i]) * sp(k[0, h, j]) * torch.tensor(phase).double()).sum()
                same(got[h, i, j], expected, 1e-5)


@pytest.mark.parametrize(
    "variant", ["rope1d", "rope2d", "rope2d_mixed", "rope_spherical", "harope", "liere", "pope"]
)
def test_values_that_are_not_turned_back_leak_where_a_token_is(variant):
    pos = fresh(f"{variant}:values=true")
    v = noise(1, HEADS, 1, K).expand(-1, -1, 35, -1)
    here = site_of(pos.geometry)
    turned_v = pos.value(here, v)
    alone = torch.stack([pos.output(here, turned_v)[0, 0, n] for n in (3, 17, 34)])
    same(alone, v[0, 0, :3], 1e-5)  # each token's own value comes back as it was
    assert (turned_v[0, 0, 3] - turned_v[0, 0, 17]).abs().max() > 0.1
    plain = fresh(variant)
    assert plain.value(here, v) is v
    assert plain.output(here, v) is v


@pytest.mark.parametrize("values", [False, True])
def test_where_content_is_equal_relative_ones_give_each_token_of_a_torus_alike(values):
    """Attention over equal values that are turned and turned back depends on the offsets alone."""
    pos = fresh(f"rope2d:values={str(values).lower()}")
    here, v = site_of(pos.geometry), noise(1, HEADS, 1, K).expand(-1, -1, 35, -1)
    sums = pos.value(here, v)[..., [8], :].expand(-1, -1, 35, -1)  # all of the weight on token 8
    out = pos.output(here, sums)[0, 0]
    other = pos.output(here, pos.value(here, v)[..., [9], :].expand(-1, -1, 35, -1))[0, 0]
    same(out[15], other[16], 1e-6)
    assert ((out[15] - out[16]).abs().max() > 0.01) == values


def test_truncation_leaves_what_turns_within_the_grid():
    pos, plain = fresh("rope2d:truncate=true,theta=10", (8, 4)), fresh("rope2d:theta=10", (8, 4))
    periods = [2 * math.pi * 10 ** (i / 4) for i in range(4)]  # 6.3, 11.2, 19.9, 35.3
    kept, all_of_them = (p.omega(torch.zeros(1, dtype=torch.float64))[0, 0] for p in (pos, plain))
    for axis, side in enumerate((8, 4)):
        turning = [w if p <= side else 0 for w, p in zip(all_of_them[axis].tolist(), periods, strict=True)]
        assert kept[axis].tolist() == turning
    assert pos.sees == ("row",)


@pytest.mark.parametrize("grid", [(4, 4), (5, 7), (1, 6), (6, 1), (3, 8)])
def test_orders_number_each_token_once(grid):
    for order in ("raster", "column", "hilbert"):
        pos = fresh(f"rope1d:order={order}", grid)
        places = pos.geometry.trained_places()
        assert sorted(pos.number(places).tolist()) == list(range(grid[0] * grid[1]))
        larger = site_of(pos.geometry, (grid[0] + 1, grid[1] + 2))
        assert sorted(pos.number(larger).tolist()) == list(range((grid[0] + 1) * (grid[1] + 2)))


def test_hilbert_s_curve_steps_to_neighbours():
    for grid in [(8, 8), (5, 7), (6, 10), (16, 3), (9, 9)]:
        path = hilbert_path(grid)
        steps = [(abs(a[0] - b[0]), abs(a[1] - b[1])) for a, b in pairwise(path)]
        assert max(max(step) for step in steps) == 1
        diagonal = steps.count((1, 1))
        assert diagonal <= (1 if grid[0] % 2 or grid[1] % 2 else 0)
    assert hilbert_path((4, 4))[:8] == [(0, 0), (1, 0), (1, 1), (0, 1), (0, 2), (0, 3), (1, 3), (1, 2)]
