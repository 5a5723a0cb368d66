"""Rotary variants against independent implementations, on random queries, up to the order of channels."""

import math

import pytest
import torch
from test_identities import DEPTH, GRID, HEADS, K, fresh, queries, same, turned
from timm.layers import pos_embed_sincos as timm

NEIGHBOURS = "pairing=interleaved"


@pytest.mark.parametrize("theta", [100.0, 10000.0])
def test_axial_against_timm(theta):
    oracle = timm.RotaryEmbeddingCat(
        K, temperature=theta, in_pixels=False, feat_shape=GRID, grid_indexing="ij"
    )
    q = queries()
    expected = timm.apply_rot_embed_cat(q, oracle.get_embed())
    same(turned(fresh(f"rope2d:theta={theta:g},{NEIGHBOURS}"), q), expected, 1e-5)


def test_mixed_against_timm():
    oracle = timm.RotaryEmbeddingMixed(HEADS * K, DEPTH, HEADS, feat_shape=GRID, grid_indexing="ij")
    pos, q = fresh(f"rope2d_mixed:{NEIGHBOURS}"), queries()
    with torch.no_grad():
        oracle.freqs.copy_(pos.waves.permute(2, 0, 1, 3))
        for layer in range(DEPTH):
            expected = timm.apply_rot_embed_cat(q, oracle.get_embed(GRID)[layer])
            same(turned(pos, q, layer=layer), expected, 1e-5)
    size, angle = oracle.freqs.new_tensor([10.0 ** (-4 * i / K) for i in range(K // 4)]), math.pi / 2
    start = timm.init_random_2d_freqs(K, DEPTH, HEADS, rotate=False)  # its own start, at angle 0
    same(start[0, 0, 0], torch.cat((size, size * math.cos(angle))), 1e-6)
    same(start, pos.rotated(torch.tensor([1.0, 0.0]).expand(DEPTH, HEADS, 2)).permute(2, 0, 1, 3), 1e-6)


@pytest.mark.parametrize("by", ["separate", "min", "max"])
@pytest.mark.parametrize(
    ("options", "theirs"),
    [("", {}), (",theta=37", {"temperature": 37.0}),
     (",min_period=0.5,max_period=80", {"temperature": None, "min_period": 0.5, "max_period": 80.0})],
)  # fmt: skip
def test_dinov3_against_timm(by, options, theirs):
    oracle = timm.RotaryEmbeddingDinoV3(
        K, feat_shape=GRID, normalize_coords=by, rotate_half=False, grid_indexing="ij", **theirs
    )
    pos, q = (
        fresh(f"rope2d:frequencies=dinov3,{NEIGHBOURS}{options}", positions=f"normalized:by={by}"),
        queries(),
    )
    same(turned(pos, q), timm.apply_rot_embed_cat(q, oracle.get_embed()), 1e-4)


def test_axial_against_diffusers():
    from diffusers.models import embeddings as diffusers  # imports for seconds

    h, w = GRID
    tables = diffusers.get_2d_rotary_pos_embed(K, ((0, 0), GRID), GRID)
    q, halves = queries(), torch.arange(K).roll(K // 2)  # columns come first there
    expected = diffusers.apply_rotary_emb(q[..., halves].float(), tables)[..., halves]
    assert tables[0].shape == (h * w, K)
    same(turned(fresh(f"rope2d:theta=10000,{NEIGHBOURS}"), q.float()), expected, 1e-4)


def test_kdiffusion_by_its_formula():
    """Head `h` of pair `i`: pi * 10^((i * heads + h) / (pairs * heads)), at centres of patches in [-1, 1]."""
    pos, q = fresh("rope2d:frequencies=kdiffusion", positions="normalized:by=max"), queries()
    out, pairs = turned(pos, q), K // 4
    token, row, column = 16, 2 * (2 + 0.5) / 7 - 1, 2 * (2 + 0.5) / 7 - 1  # of the longer side, 7
    for head in range(HEADS):
        for i in range(pairs):
            f = math.pi * 10 ** ((i * HEADS + head) / (pairs * HEADS))
            for start, place in ((0, row), (K // 2, column)):
                a, b = q[0, head, token, start + i], q[0, head, token, start + pairs + i]
                expected = a * math.cos(f * place) - b * math.sin(f * place)
                same(out[0, head, token, start + i], expected, 1e-5)
