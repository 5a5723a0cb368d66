"""Biases that depend on tokens, directions or learned places: against loops and defining identities."""

import math

import pytest
import torch
from measured_variants import DEPTH, DIM, HEAD_DIM, HEADS, make, noise, normals
from sites import site_of
from torch import Tensor
from torch.nn import functional as F

from rope_dit.errors import UserError
from rope_dit.pos_embed.base import Geometry, Grid, PosEmbed
from rope_dit.pos_embed.compose import build
from rope_dit.pos_embed.cones import MASKED


def weights(pos: PosEmbed) -> dict[str, Tensor]:
    return {name: p.detach().double() for name, p in pos.named_parameters()}


def fresh(spec: str, grid: Grid = (3, 4)) -> PosEmbed:
    pos = build(spec, Geometry(DIM, HEADS, HEAD_DIM, DEPTH, grid))
    with torch.no_grad():
        pos.init_weights(normals(0))
    return pos


def bias(pos: PosEmbed, grid: Grid | None = None, layer: int = 0, batch: int = 2, **moved: Tensor) -> Tensor:
    """[B, H, T, T] in float64, of random tokens and queries."""
    grid = grid or pos.geometry.grid
    x, q = noise(batch, grid[0] * grid[1], DIM, seed=3), noise(batch, HEADS, grid[0] * grid[1], HEAD_DIM)
    found = pos.bias(site_of(pos.geometry, grid, x, layer=layer, **moved), q, q)
    assert found is not None
    return found


def same(got: Tensor, expected: Tensor, atol: float = 1e-6) -> None:
    torch.testing.assert_close(got.detach().double(), expected.double(), rtol=0, atol=atol)


def pairs(grid: Grid) -> list[tuple[int, int, int, int]]:
    """Indices of query and key, and the offset from one to the other in rows and columns."""
    places = [(r, c) for r in range(grid[0]) for c in range(grid[1])]
    return [(i, j, s - r, d - c) for i, (r, c) in enumerate(places) for j, (s, d) in enumerate(places)]


@pytest.mark.parametrize("decomposed", ["false", "true"])
def test_relative_key_compares_queries_with_the_vector_of_each_offset(decomposed):
    pos = make(f"relative_key:decomposed={decomposed}", (3, 4))
    w, q = weights(pos), noise(2, HEADS, 12, HEAD_DIM)
    for layer in range(DEPTH):
        got = bias(pos, layer=layer)
        for i, j, down, right in pairs((3, 4)):
            if decomposed == "true":
                vector = w["rows_LKy"][layer, :, 2 + down] + w["columns_LKx"][layer, :, 3 + right]
            else:
                vector = w["table_LKyx"][layer, :, 2 + down, 3 + right]
            same(got[:, :, i, j], (q[:, :, i] * vector).sum(-1) / math.sqrt(HEAD_DIM))


def test_decomposed_is_the_whole_table_where_that_is_a_sum_on_every_grid():
    parts, whole = make("relative_key:decomposed=true", (3, 4)), make("relative_key", (3, 4))
    rows, columns = parts.parameters()
    with torch.no_grad():
        next(whole.parameters()).copy_(rows[..., :, None] + columns[..., None, :])
    for grid in [(3, 4), (2, 2), (5, 9)]:
        same(bias(parts, grid), bias(whole, grid), 1e-5)


def test_moved_pictures_compare_with_vectors_of_their_own():
    pos = make("relative_key", (2, 3), positions="rescale:most=4")
    moves = torch.tensor([[0.5], [0.25]], dtype=torch.float64)  # as it is, and half as large
    still, half = bias(pos, moves_BN=moves)
    same(still, bias(make("relative_key", (2, 3)))[0])
    vector, q = weights(pos)["table_LKyx"][0, :, 1, 2:4].mean(-1), noise(2, HEADS, 6, HEAD_DIM)[1]
    same(half[:, 0, 1], q[:, 0] @ vector / math.sqrt(HEAD_DIM))


@pytest.mark.parametrize("spec", ["relative_key", "relative_key:decomposed=true", "pape", "tupe"])
def test_step_0_knows_no_place_and_gradients_flow(spec):
    pos = fresh(spec)
    found = bias(pos)
    assert not found.any()
    (found * noise(*found.shape, seed=5)).sum().backward()
    reached = {name for name, p in pos.named_parameters() if p.grad is not None and p.grad.any()}
    expected = {"pape": {"directions_LHP2"}, "tupe": {"to_query_DD"}}
    assert reached == expected.get(spec, set(weights(pos)))


@pytest.mark.parametrize(("cone", "heads"), [("90", 4), ("90", 8), ("45", 8)])
@pytest.mark.parametrize("grid", [(5, 5), (3, 7)])
def test_each_other_token_lies_in_exactly_one_cone(cone, heads, grid):
    """Of each four cones of 90 degrees, and of eight of 45."""
    pos = build(f"lookhere:cone={cone}", Geometry(8 * heads, heads, 8, DEPTH, grid))
    q, tokens = torch.zeros(1, heads, grid[0] * grid[1], 8), grid[0] * grid[1]
    for layer in range(DEPTH):
        found = pos.bias(site_of(pos.geometry, layer=layer), q, q)
        assert found is not None
        seen = (found[0] > MASKED).unflatten(0, (-1, 360 // int(cone))).sum(1)
        everyone = torch.eye(tokens, dtype=torch.int64) * (360 // int(cone) - 1) + 1
        assert (seen == everyone).all()


def test_where_heads_are_few_the_next_layer_looks_elsewhere():
    pos = make("lookhere:cone=45", (5, 5))
    seen = [(bias(pos, layer=layer, batch=1)[0] > MASKED).sum(0) for layer in range(2)]
    assert (seen[0] + seen[1] == torch.eye(25) * 7 + 1).all()


@pytest.mark.parametrize(
    ("spec", "head", "down", "right", "expected"),
    [
        ("lookhere", 0, 0, 2, -2 * 1.5 * 0.5 * 2),
        ("lookhere", 0, 1, 1, MASKED),  # a cone's second edge belongs to the next: down
        ("lookhere", 0, -1, 1, -2 * 1.5 * 0.5 * math.sqrt(2)),
        ("lookhere", 1, 0, -1, -2 * 1.5 * 0.5),
        ("lookhere", 2, 1, 1, -2 * 1.5 * 0.5 * math.sqrt(2)),
        ("lookhere", 3, -2, 0, -2 * 1.5 * 0.5 * 2),
        ("lookhere", 3, 0, 0, 0),
        ("lookhere:slope=1", 0, 0, 2, -1 * 1.5 * 0.5 * 2),
        ("lookhere:cone=45", 1, 2, 2, -2 * 1.5 * 0.5 * math.sqrt(8)),
        ("lookhere:cone=45", 0, 2, 2, MASKED),
        ("lookhere:undirected=2", 2, 1, 0, -2 * 1.5 / 4),
        ("lookhere:undirected=2", 3, -1, 0, -2 * 1.5 / 16),
    ],
)
def test_lookhere_by_hand(spec, head, down, right, expected):
    query = 12  # the middle of 5 x 5
    got = bias(make(spec, (5, 5)), batch=1)[0, head, query, query + 5 * down + right]
    assert float(got) == pytest.approx(expected)


def test_lookhere_s_second_round_of_cones_is_turned_and_later_ones_are_flatter():
    pos = build("lookhere", Geometry(12 * 8, 12, 8, 3, (5, 5)))
    q = torch.zeros(1, 12, 25, 8)
    by_layer = [pos.bias(site_of(pos.geometry, layer=layer), q, q) for layer in range(3)]
    first, middle, last = (found[0, :, 12].unflatten(1, (5, 5)) for found in by_layer if found is not None)
    assert float(first[4, 3, 3]) == pytest.approx(-2 * 1.5 * 0.5 * math.sqrt(2))  # down and right
    assert float(first[4, 1, 3]) == MASKED
    assert float(first[8, 2, 3]) == pytest.approx(-2 * 1.5 * 0.25)
    seen = first[0] > MASKED
    same(middle[0][seen], first[0][seen] / 1.5)
    same(last[0][seen], first[0][seen] / 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_what_no_head_may_see_gets_nothing_and_no_row_is_empty(dtype):
    pos = make("lookhere", (4, 4))
    q = 30 * noise(1, HEADS, 16, HEAD_DIM).to(dtype)
    mask = pos.bias(site_of(pos.geometry), q, q)
    assert mask is not None
    out = F.scaled_dot_product_attention(
        q, q, torch.eye(16, dtype=dtype).expand(1, HEADS, 16, 16), attn_mask=mask
    )
    assert torch.isfinite(out).all()
    assert not out[mask < MASKED / 2].any()
    torch.testing.assert_close(out.sum(-1), torch.ones(1, HEADS, 16, dtype=dtype), rtol=0, atol=0.02)


def test_pape_is_a_sum_of_parabolas():
    pos = make("pape:parabolas=3", (3, 4))
    w, x = weights(pos), noise(2, 12, DIM, seed=3)
    for layer in range(DEPTH):
        a, b = (x @ w["map_LDN"][layer]).unflatten(-1, (2, HEADS, 3)).permute(2, 0, 3, 1, 4)
        got = bias(pos, layer=layer)
        for i, j, down, right in pairs((3, 4)):
            step = -(
                w["directions_LHP2"][layer] @ torch.tensor([down, right]).double()
            )  # u(i) - u(j), [H, P]
            expected = (-F.softplus(a[:, :, i]) * step**2 + b[:, :, i] * step).sum(-1)
            same(got[:, :, i, j], expected, 1e-9)


def test_pape_with_directions_of_zero_is_none():
    pos = make("pape", (3, 4))
    with torch.no_grad():
        dict(pos.named_parameters())["directions_LHP2"].zero_()
    assert not bias(pos).any()


def test_invariant_pape_is_a_parabola_of_the_distance():
    pos = make("pape:invariant=true", (3, 4))
    a = F.softplus(noise(2, 12, DIM, seed=3) @ weights(pos)["map_LDN"][0])
    s = [math.sqrt(0.5) * (h + 0.5) / HEADS for h in range(HEADS)]
    got = bias(pos)
    for i, j, down, right in pairs((3, 4)):
        same(
            got[:, :, i, j],
            torch.stack([-a[:, i, h] * s[h] ** 2 * (down**2 + right**2) for h in range(HEADS)], 1),
        )


@pytest.mark.parametrize("spec", ["pape:std=1", "pape:invariant=true"])
def test_pape_is_made_in_float32_under_autocast(spec):
    pos = fresh(spec, (8, 8))
    x, q = noise(2, 64, DIM).float(), torch.zeros(2, HEADS, 64, HEAD_DIM)
    site = site_of(pos.geometry, None, x)
    plain = pos.bias(site, q, q)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(pos.bias(site, q, q), plain)
    exact = pos.bias(site_of(pos.geometry, None, x.double()), q.double(), q.double())
    same(plain, exact, 2e-3)
    assert exact.abs().max() > 30


@pytest.mark.parametrize("grid", [(3, 4), (4, 6)])
def test_tupe_gives_contents_and_places_half_of_the_variance_each(grid):
    pos = make("tupe", (3, 4))
    w, tokens = weights(pos), grid[0] * grid[1]
    table = w["table_TD"]
    if grid != (3, 4):
        as_image = table.T.unflatten(1, (3, 4))[None]
        table = F.interpolate(as_image, grid, mode="bicubic")[0].flatten(1).T
    q, k = noise(2, 2, HEADS, tokens, HEAD_DIM)
    u, v = (
        (table @ w[name]).unflatten(1, (HEADS, HEAD_DIM)).transpose(0, 1)
        for name in ("to_query_DD", "to_key_DD")
    )
    site = site_of(pos.geometry, grid, torch.zeros(2, tokens, DIM))
    turned = pos.rotate(site, q, k)
    contents = turned[0] @ turned[1].transpose(-1, -2) / math.sqrt(HEAD_DIM)
    expected = (q @ k.transpose(-1, -2) + u @ v.transpose(-1, -2)) / math.sqrt(2 * HEAD_DIM)
    same(contents + pos.bias(site, q, k), expected, 1e-4)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("lookhere:cone=60", "option 'cone' got '60', expected one of 90, 45"),
        ("lookhere:undirected=4", "option 'undirected' got 4, expected 0 to 3, fewer than the 4 heads"),
        ("lookhere:undirected=-1", "option 'undirected' got -1"),
        ("lookhere:slope=-1", "option 'slope' got -1.0, expected 0 or more"),
        ("pape:parabolas=0", "option 'parabolas' got 0, expected 1 or more"),
        ("pape:std=-1", "option 'std' got -1.0, expected 0 or more"),
        ("tupe:std=0", "option 'std' got 0.0, expected a number above 0"),
        ("relative_key:decomposed=yes", "option 'decomposed' got 'yes', expected true or false"),
    ],
)
def test_refusals_are_one_line(spec, words):
    with pytest.raises(UserError, match=words) as caught:
        build(spec, Geometry(DIM, HEADS, HEAD_DIM, DEPTH, (5, 7)))
    assert len(str(caught.value)) <= 200
    assert "\n" not in str(caught.value)
