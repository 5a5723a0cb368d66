"""The contract of positional embeddings, run on whatever is registered, and what single variants promise."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from rope_dit.errors import UserError
from rope_dit.model import draw
from rope_dit.pos_embed.base import Geometry, Grid, Normal, PosEmbed, Site
from rope_dit.pos_embed.compose import Composite, build
from rope_dit.pos_embed.rotation import Rotary
from rope_dit.randomness import Stream
from rope_dit.registry import POS_EMBEDS

DIM, HEADS, HEAD_DIM, DEPTH = 32, 4, 8, 2
TRAINED: list[Grid] = [(5, 7), (1, 6)]  # neither is square
SPECS = [*POS_EMBEDS.names(), "learned+rope2d"]
SAME, DIFFERENT = 1e-5, 1e-3  # logits differ by less than the first or by more than the second


def normals(seed: int) -> Normal:
    return lambda name, shape: draw(seed, Stream.VARIANT_WEIGHTS, name, shape)


@torch.no_grad()
def make(spec: str, grid: Grid = (5, 7), head_dim: int = HEAD_DIM) -> PosEmbed:
    """Build a variant whose learned weights are far from their start: claims hold for all weights."""
    pos = build(spec, Geometry(HEADS * head_dim, HEADS, head_dim, DEPTH, grid))
    pos.init_weights(normals(0))
    for name, p in pos.named_parameters():
        p += draw(1, Stream.NOISE, name, tuple(p.shape))
    return pos


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def site(grid: Grid, batch: int = 1, layer: int = 0) -> Site:
    return Site(grid, layer, torch.full((batch,), 0.3))


def logits(pos: PosEmbed, grid: Grid, layer: int = 0) -> Tensor:
    """Logits [H, h, w, h, w] between tokens of equal content: query's row and column, then the key's."""
    geometry, tokens = pos.geometry, grid[0] * grid[1]
    x_BTD = pos.add(site(grid), noise(1, 1, geometry.dim).expand(1, tokens, geometry.dim))
    to_q, to_k = noise(2, geometry.dim, geometry.dim, seed=1) / math.sqrt(geometry.dim)
    q, k = ((x_BTD @ m).unflatten(-1, (geometry.num_heads, -1)).transpose(1, 2) for m in (to_q, to_k))
    here = site(grid, layer=layer)
    q, k = pos.rotate(here, q, k)
    bias = pos.bias(here, q, k)
    out = q @ k.transpose(-1, -2) / math.sqrt(geometry.head_dim)
    return (out if bias is None else out + bias)[0].unflatten(-1, grid).unflatten(-3, grid)


def change(a: Tensor, b: Tensor) -> float:
    return float((a - b).detach().abs().max()) if a.numel() else 0.0


def hold(claimed: bool, difference: float, what: str) -> None:
    """A claim is a fact: what is claimed is so, and what is not claimed is not so."""
    if claimed:
        assert difference < SAME, f"claims {what}, but logits differ by {difference:.3g}"
    else:
        assert difference > DIFFERENT, f"does not claim {what}, but logits differ by {difference:.3g} only"


@pytest.mark.parametrize("layer", range(DEPTH))
@pytest.mark.parametrize("grid", TRAINED)
@pytest.mark.parametrize("spec", SPECS)
class TestClaims:
    def test_relative(self, spec, grid, layer):
        pos = make(spec, grid)
        all_logits = logits(pos, grid, layer)
        down = change(all_logits[:, :-1, :, :-1, :], all_logits[:, 1:, :, 1:, :])
        right = change(all_logits[:, :, :-1, :, :-1], all_logits[:, :, 1:, :, 1:])
        hold(pos.relative, max(down, right), "relative")

    def test_sees(self, spec, grid, layer):
        pos = make(spec, grid)
        all_logits = logits(pos, grid, layer)
        for dim, axis in ((3, "row"), (4, "column")):
            if all_logits.shape[dim] > 1:
                spread = float((all_logits.amax(dim) - all_logits.amin(dim)).detach().max())
                hold(axis not in pos.sees, spread, f"not to see the {axis}")

    def test_symmetric(self, spec, grid, layer):
        if min(grid) == 1:
            pytest.skip("one row: there is no step down")
        pos = make(spec, grid)
        all_logits = logits(pos, grid, layer)
        down = torch.stack([all_logits[:, r, c, r + 1, c] for r in range(4) for c in range(4)])
        right = torch.stack([all_logits[:, r, c, r, c + 1] for r in range(4) for c in range(4)])
        hold(pos.symmetric, change(down, right), "symmetric")

    def test_extrapolates(self, spec, grid, layer):
        pos = make(spec, grid)
        (h, w), large = grid, (grid[0] + 2, grid[1] + 3)
        difference = change(logits(pos, grid, layer), logits(pos, large, layer)[:, :h, :w, :h, :w])
        if h > 1 or pos.extrapolates:  # in a single row some variants extrapolate by accident
            hold(pos.extrapolates, difference, "extrapolates")


@pytest.mark.parametrize("trained", TRAINED)
@pytest.mark.parametrize("spec", SPECS)
def test_hooks_keep_shapes_on_every_grid(spec, trained):
    pos = make(spec, trained)
    for grid in [trained, (5, 7), (1, 6), (6, 1), (8, 3), (1, 1)]:
        tokens, here = grid[0] * grid[1], site(grid, batch=2)
        x = noise(2, tokens, DIM).float()
        q, k = noise(2, 2, HEADS, tokens, HEAD_DIM).float()
        assert pos.add(here, x).shape == x.shape
        assert [r.shape for r in pos.rotate(here, q, k)] == [q.shape, k.shape]
        bias = pos.bias(here, q, k)
        assert bias is None or bias.shape in ((1, HEADS, tokens, tokens), (2, HEADS, tokens, tokens))
        outputs = [pos.add(here, x), *pos.rotate(here, q, k), *([] if bias is None else [bias])]
        assert all(torch.isfinite(out).all() for out in outputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("spec", SPECS)
def test_hooks_keep_types(spec, dtype):
    pos = make(spec)
    for grid in [(5, 7), (3, 4)]:
        tokens, here = grid[0] * grid[1], site(grid)
        q, k = noise(2, 1, HEADS, tokens, HEAD_DIM).to(dtype)
        assert pos.add(here, noise(1, tokens, DIM).to(dtype)).dtype == dtype
        q, k = pos.rotate(here, q, k)
        assert (q.dtype, k.dtype) == (dtype, dtype)
        assert F.scaled_dot_product_attention(q, k, k, attn_mask=pos.bias(here, q, k)).dtype == dtype


@pytest.mark.parametrize("spec", SPECS)
def test_hooks_do_not_change_their_inputs(spec):
    pos, here = make(spec), site((5, 7))
    x, q, k = noise(1, 35, DIM), *noise(2, 1, HEADS, 35, HEAD_DIM)
    copies = [tensor.clone() for tensor in (x, q, k)]
    pos.add(here, x), pos.rotate(here, q, k), pos.bias(here, q, k)
    assert all(torch.equal(*pair) for pair in zip(copies, (x, q, k), strict=True))


OTHER = {bool: lambda value: not value, int: lambda value: 2 * value + 1, float: lambda value: 2 * value + 1}
OPTIONS = [(e.name, o) for e in POS_EMBEDS for o in e.options.values() if o.type in OTHER]


@pytest.mark.parametrize("first", ["default", "other"])
@pytest.mark.parametrize(("name", "option"), OPTIONS, ids=[f"{name}:{o.name}" for name, o in OPTIONS])
def test_instances_with_other_options_share_nothing(name, option, first):
    value = OTHER[option.type](option.default)
    other = f"{name}:{option.name}={str(value).lower()}"
    specs = (name, other) if first == "default" else (other, name)
    built = {spec: make(spec) for spec in specs}
    before = {spec: (logits(pos, (5, 7)), logits(pos, (6, 8))) for spec, pos in built.items()}
    assert change(before[name][0], before[other][0]) > DIFFERENT
    assert change(before[name][1], before[other][1]) > DIFFERENT
    again = {spec: logits(built[spec], (5, 7)) for spec in reversed(specs)}
    assert all(torch.equal(again[spec], before[spec][0]) for spec in specs)


@torch.no_grad()
@pytest.mark.parametrize("spec", SPECS)
def test_initial_weights_are_functions_of_seed_and_name(spec):
    def weights(seed: int) -> dict[str, Tensor]:
        names: list[str] = []

        def normal(name: str, shape: tuple[int, ...]) -> Tensor:
            names.append(name)
            return normals(seed)(name, shape)

        pos = build(spec, Geometry(DIM, HEADS, HEAD_DIM, DEPTH, (5, 7)))
        for p in pos.parameters():
            p.fill_(math.nan)
        pos.init_weights(normal)
        assert len(set(names)) == len(names), f"two weights draw under one name: {names}"
        return dict(pos.named_parameters())

    a, b, other = weights(0), weights(0), weights(1)
    assert all(torch.isfinite(p).all() for p in a.values()), "init_weights left a weight unset"
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert all(not torch.equal(a[name], other[name]) or a[name].unique().numel() == 1 for name in a)


@pytest.mark.parametrize("grid", [(5, 7), (6, 8)])
@pytest.mark.parametrize("spec", SPECS)
def test_gradients_reach_all_weights(spec, grid):
    pos = make(spec)
    if list(pos.parameters()):
        torch.stack([logits(pos, grid, layer) for layer in range(DEPTH)]).square().sum().backward()
    for name, p in pos.named_parameters():
        assert p.grad is not None, name
        assert torch.isfinite(p.grad).all(), name
        assert p.grad.abs().sum() > 0, name


@pytest.mark.parametrize("spec", SPECS)
def test_state_holds_learned_weights_only(spec):
    pos = make(spec)
    assert pos.state_dict().keys() == dict(pos.named_parameters()).keys()


ROTARY = [name for name in POS_EMBEDS.names() if issubclass(POS_EMBEDS.load(name), Rotary)]


@pytest.mark.parametrize("grid", [(5, 7), (9, 2)])
@pytest.mark.parametrize("name", ROTARY)
def test_rotations_keep_norms_and_leave_the_origin(name, grid):
    q, k = noise(2, 1, HEADS, grid[0] * grid[1], HEAD_DIM)
    turned_q, turned_k = make(name).rotate(site(grid), q, k)
    torch.testing.assert_close(turned_q.norm(dim=-1), q.norm(dim=-1), rtol=1e-6, atol=0)
    torch.testing.assert_close(turned_k.norm(dim=-1), k.norm(dim=-1), rtol=1e-6, atol=0)
    assert torch.equal(turned_q[:, :, 0], q[:, :, 0])
    assert change(turned_q[:, :, 1:], q[:, :, 1:]) > DIFFERENT


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
        table = make("sincos2d:theta=50", trained).add(site((h, w)), torch.zeros(1, h * w, DIM))[0]
        torch.testing.assert_close(table, torch.tensor(expected), rtol=0, atol=1e-6)


def test_learned_table_is_resized_where_the_grid_asks_for_it():
    pos, zeros = make("learned", (4, 6)), torch.zeros(1, 8 * 12, DIM)
    table_hwD = pos.add(site((4, 6)), zeros[:, :24])[0].unflatten(0, (4, 6))
    large = pos.add(site((8, 12)), zeros)[0].unflatten(0, (8, 12))
    smooth = F.interpolate(table_hwD.permute(2, 0, 1)[None], (8, 12), mode="bicubic")[0].permute(1, 2, 0)
    torch.testing.assert_close(large, smooth)
    with torch.no_grad():
        dict(pos.named_parameters())["table_TD"].fill_(0.5)
    torch.testing.assert_close(pos.add(site((8, 12)), zeros), torch.full_like(zeros, 0.5))


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
        ("rope2dd", Geometry(32, 4, 8, 2, (5, 7)), "Did you mean 'rope2d'"),
    ],
)
def test_refusals_are_one_line(spec, geometry, words):
    with pytest.raises(UserError, match=words) as caught:
        build(spec, geometry)
    assert len(str(caught.value)) <= 200
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", SPECS)
def test_can_be_built_without_memory_for_its_weights(spec):
    with torch.device("meta"):
        pos = build(spec, Geometry(DIM, HEADS, HEAD_DIM, DEPTH, (5, 7)))
    assert all(p.is_meta for p in pos.parameters())
