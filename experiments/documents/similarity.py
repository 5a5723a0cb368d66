"""What a variant does to attention: logits of the first block between tokens of equal content."""

import math
from functools import cache

import torch
from torch import Tensor

from experiments.config.presets import preset
from rope_dit.model import draw
from rope_dit.pos_embed.base import Geometry, PosEmbed, Site
from rope_dit.pos_embed.compose import build
from rope_dit.randomness import Stream

PRESET, GRID = "cifar10", (8, 8)
CENTRE, CORNER = 4 * 8 + 4, 0
"""tokens whose logits are shown"""
CONTENTS = 32
_TIME = 0.5
_SEED = 0
_NOTHING = 0.05
"""logits that a picture would not show"""
MOST = 8.0
_HIDDEN = -1000.0
"""logits of tokens that a variant hides are lower"""


@torch.no_grad()
def built(spec: str) -> PosEmbed:
    """The variant in the preset's network, with the weights that it starts with."""
    config = preset(PRESET).model
    made = build(spec, Geometry(config.dim, config.num_heads, config.head_dim, config.depth, GRID))
    made.init_weights(lambda name, shape: draw(_SEED, Stream.VARIANT_WEIGHTS, name, shape))
    return made


@cache
@torch.no_grad()
def similarity(spec: str) -> tuple[Tensor, str]:
    """Logits [2, H, 8, 8] of the token at the centre and of that in the corner with all tokens.

    Every token has one content, so that only position tells them apart. A content is normal, each head the
    same; the logits are means over CONTENTS of them and their negatives. Queries and keys are the normalised
    tokens themselves, so no projection stands between the variant and the picture. The mean over all keys is
    taken away, which a softmax does not see; tokens that are hidden are NaN. Where all heads are equal there
    is one.

    Learned weights are as they start. Where that changes next to nothing, normals are added to them, of
    the largest of the standard deviations 1, 1/2, 1/4, ... at which no logit is above MOST; the second value
    says so.
    """
    variant, remark = built(spec), ""
    found, std = _logits(variant), 1.0
    if _largest(found) < _NOTHING and list(variant.parameters()):
        while _largest(found := _logits(_moved(spec, std))) > MOST:
            std /= 2
        remark = "with random weights, since it starts without effect"
        if _largest(found) < _NOTHING:
            remark += "; over contents and their negatives the mean is nothing nonetheless"
    alike = torch.allclose(found, found[:, :1].expand_as(found), rtol=0, atol=1e-3, equal_nan=True)
    return found[:, :1] if alike else found, remark


def _largest(logits: Tensor) -> float:
    return float(logits.nan_to_num().abs().max())


def _moved(spec: str, std: float) -> PosEmbed:
    variant = built(spec)
    for name, weight in variant.named_parameters():
        weight.add_(std * draw(_SEED, Stream.NOISE, name, tuple(weight.shape)))
    return variant


def _logits(variant: PosEmbed) -> Tensor:
    heads, width = variant.geometry.num_heads, variant.geometry.head_dim
    half_BK = draw(_SEED, Stream.NOISE, "contents", (CONTENTS, width))
    content_BD = torch.cat((half_BK, -half_BK)).repeat(1, heads)
    x_BTD = content_BD[:, None].expand(-1, GRID[0] * GRID[1], -1)
    x_BTD = variant.add(_site(variant, x_BTD), x_BTD)
    here = _site(variant, x_BTD)
    normed = torch.nn.functional.layer_norm(x_BTD, x_BTD.shape[-1:])
    q_BHTK = normed.unflatten(-1, (heads, width)).transpose(1, 2)
    bias, (q, k) = variant.bias(here, q_BHTK, q_BHTK), variant.rotate(here, q_BHTK, q_BHTK)
    chosen = torch.tensor([CENTRE, CORNER])
    logits = q[:, :, chosen] @ k.transpose(-1, -2) * width**-0.5
    if bias is not None:
        logits = logits + bias[:, :, chosen]
    mean = logits.mean(0)
    logits = mean.masked_fill(mean < _HIDDEN, math.nan)
    shown: Tensor = (logits - logits.nanmean(-1, keepdim=True)).transpose(0, 1).unflatten(-1, GRID)
    return shown


def _site(variant: PosEmbed, x_BTD: Tensor) -> Site:
    places = variant.geometry.trained_places()
    t_B = torch.full((len(x_BTD),), _TIME)
    return Site(GRID, places.rows, places.columns, 0, t_B, x_BTD, trained=True)
