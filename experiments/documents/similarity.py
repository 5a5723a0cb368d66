"""What a variant does to attention: logits of the first block between tokens of equal content."""

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
CONTENTS = 128
_TIME = 0.5
_SEED = 0


@torch.no_grad()
def built(spec: str) -> PosEmbed:
    """The variant in the preset's network, with the weights that it starts with."""
    config = preset(PRESET).model
    made = build(spec, Geometry(config.dim, config.num_heads, config.head_dim, config.depth, GRID))
    made.init_weights(lambda name, shape: draw(_SEED, Stream.VARIANT_WEIGHTS, name, shape))
    return made


@torch.no_grad()
def similarity(spec: str) -> Tensor:
    """Logits [2, H, 8, 8] of the token at the centre and of that in the corner with all tokens.

    Every token has one content, so that only position tells them apart. A content is normal, each head the
    same; the logits are means over CONTENTS of them and their negatives. Queries and keys are the normalised
    tokens themselves, so no projection stands between the variant and the picture. The mean over all keys is
    taken away, which a softmax does not see. Where all heads are equal there is one.
    """
    variant = built(spec)
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
    logits = (logits if bias is None else logits + bias[:, :, chosen]).mean(0)
    logits = (logits - logits.mean(-1, keepdim=True)).transpose(0, 1).unflatten(-1, GRID)
    all_alike = torch.allclose(logits, logits[:, :1].expand_as(logits), rtol=0, atol=1e-3)
    shown: Tensor = logits[:, :1] if all_alike else logits
    return shown


def _site(variant: PosEmbed, x_BTD: Tensor) -> Site:
    places = variant.geometry.trained_places()
    t_B = torch.full((len(x_BTD),), _TIME)
    return Site(GRID, places.rows, places.columns, 0, t_B, x_BTD, trained=True)
