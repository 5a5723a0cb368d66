"""Variants as tests make them, and what is measured of them: logits between tokens of equal content."""

import math
from dataclasses import replace

import torch
from sites import site_of, some_of
from torch import Tensor

from rope_dit.errors import UserError
from rope_dit.model import draw
from rope_dit.pos_embed.base import Geometry, Grid, Normal, PosEmbed
from rope_dit.pos_embed.compose import build
from rope_dit.randomness import Stream

DIM, HEADS, HEAD_DIM, DEPTH = 32, 4, 8, 2
TRAINED: list[Grid] = [(5, 7), (1, 6)]
SITES = [(grid, layer) for grid in TRAINED for layer in range(DEPTH)]
SAME, DIFFERENT = 1e-5, 1e-3  # logits differ by less than the first or by more than the second


def normals(seed: int) -> Normal:
    return lambda name, shape: draw(seed, Stream.VARIANT_WEIGHTS, name, shape)


@torch.no_grad()
def make(spec: str, grid: Grid = (5, 7), head_dim: int = HEAD_DIM, positions: str = "") -> PosEmbed:
    """Build a variant whose learned weights are far from their start: claims hold for all weights.

    Positions are indices where none are given and the variant does not refuse them.
    """
    pos = built(spec, Geometry(HEADS * head_dim, HEADS, head_dim, DEPTH, grid, positions))
    pos.init_weights(normals(0))
    for name, p in pos.named_parameters():
        p += draw(1, Stream.NOISE, name, tuple(p.shape))
    return pos


def built(spec: str, geometry: Geometry) -> PosEmbed:
    """A variant as it comes, with the first positions that it takes where the geometry names none."""
    if geometry.positions:
        return build(spec, geometry)
    try:
        return build(spec, replace(geometry, positions="index"))
    except UserError:
        return build(spec, replace(geometry, positions="normalized:by=max"))


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def logits(pos: PosEmbed, grid: Grid, layer: int = 0, t: float = 0.3, chosen: Tensor | None = None) -> Tensor:
    """Logits [H, h, w, h, w] between tokens of equal content: query's row and column, then the key's.

    With `chosen`, those between some of the tokens, [H, n, n].
    """
    geometry = pos.geometry
    x_BTD = noise(1, 1, geometry.dim).expand(1, grid[0] * grid[1], geometry.dim)
    x_BTD = x_BTD if chosen is None else x_BTD[:, chosen]

    def site(block: int, x_BTD: Tensor):
        whole = site_of(geometry, grid, noise(1, grid[0] * grid[1], geometry.dim), layer=block, t=t)
        here = whole if chosen is None else some_of(whole, chosen)
        return type(here)(here.grid, here.rows, here.columns, block, here.t_B, x_BTD, here.trained)

    for block in range(layer + 1):
        x_BTD = pos.add(site(block, x_BTD), x_BTD)
    to_q, to_k = noise(2, geometry.dim, geometry.dim, seed=1) / math.sqrt(geometry.dim)
    q, k = ((x_BTD @ m).unflatten(-1, (geometry.num_heads, -1)).transpose(1, 2) for m in (to_q, to_k))
    here = site(layer, x_BTD)
    bias = pos.bias(here, q, k)
    q, k = pos.rotate(here, q, k)
    out = (q @ k.transpose(-1, -2) / math.sqrt(geometry.head_dim) + (0 if bias is None else bias))[0]
    return out if chosen is not None else out.unflatten(-1, grid).unflatten(-3, grid)


def mixing(pos: PosEmbed, grid: Grid, layer: int = 0) -> Tensor:
    """What a value at one token gives to the output of another: [H, h, w, h, w, K], the output's first."""
    tokens, geometry = grid[0] * grid[1], pos.geometry
    here = site_of(geometry, grid, layer=layer)
    v = noise(1, geometry.num_heads, 1, geometry.head_dim, seed=2).expand(-1, -1, tokens, -1)
    at_keys = pos.value(here, v)[0].transpose(0, 1)[:, :, None]  # [key's token, H, 1, K]
    out = pos.output(here, at_keys.expand(-1, -1, tokens, -1))
    return out.permute(1, 2, 0, 3).unflatten(2, grid).unflatten(1, grid)


def effects(pos: PosEmbed, grid: Grid) -> Tensor:
    """All that an option may change."""
    return torch.cat((logits(pos, grid).flatten(), mixing(pos, grid).flatten()))


def change(a: Tensor, b: Tensor) -> float:
    return float((a - b).detach().abs().max()) if a.numel() else 0.0


def hold(claimed: bool, difference: float, what: str) -> None:
    """A claim is a fact: what is claimed is so, and what is not claimed is not so."""
    if claimed:
        assert difference < SAME, f"claims {what}, but logits differ by {difference:.3g}"
    else:
        assert difference > DIFFERENT, f"does not claim {what}, but logits differ by {difference:.3g} only"
