"""What a variant and its positions offer to what is done about grids larger than the trained one."""

import math

import torch

from rope_dit.extrapolations.compose import Able, refusal
from rope_dit.pos_embed.base import Geometry, PosEmbed
from rope_dit.pos_embed.compose import build
from rope_dit.pos_embed.ladders import extents
from rope_dit.positions.coordinates import Coordinates


def able(variant: str, pos: PosEmbed, positions: Coordinates, spec: str) -> Able:
    """What an extrapolation may act on.

    Args:
        variant: its spec, for messages.
        pos: the variant, built.
        positions: where tokens are.
        spec: that of `positions`, for messages.
    """
    h, w = positions.trained
    reach = [extents(positions(grid)) for grid in ((h + 1, w + 1), (2 * h + 2, 2 * w + 2))]
    grows = all(math.isclose(large, 2 * small) for small, large in zip(*reach, strict=True))
    return Able(variant, spec, pos.uses_coordinates, pos.extrapolates_frequencies, grows, pos.squeezes_alike)


def why_not(variant: str, geometry: Geometry, spec: str) -> str:
    """Why an extrapolation has no meaning for a variant, in a sentence; '' where it has one.

    No weights are made, and no other part of a model. Raises UserError where it has no meaning for any.

    >>> geometry = Geometry(dim=16, num_heads=2, head_dim=8, depth=1, grid=(4, 4))
    >>> why_not("rope2d", geometry, "yarn"), why_not("learned", geometry, "attention_scale")
    ('', '')
    >>> why_not("learned", geometry, "yarn")[:49]
    "extrapolation 'yarn' acts on the frequencies of r"
    """
    with torch.device("meta"):
        pos = build(variant, geometry)
    positions = Coordinates(geometry.positions, geometry.grid)
    return refusal(spec, able(variant, pos, positions, geometry.positions))
