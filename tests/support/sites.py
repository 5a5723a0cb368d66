"""Where hooks of positional embeddings are called, as the model says it."""

import torch
from torch import Tensor

from rope_dit.pos_embed.base import Geometry, Grid, Site
from rope_dit.positions.coordinates import Coordinates


def site_of(
    geometry: Geometry,
    grid: Grid | None = None,
    tokens_BTD: Tensor | None = None,
    *,
    layer: int = 0,
    t: float = 0.3,
    moves_BN: Tensor | None = None,
) -> Site:
    """The site of a block, on the trained grid unless told otherwise; without tokens one picture of zeros."""
    grid = grid or geometry.grid
    if tokens_BTD is None:
        tokens_BTD = torch.zeros(1, grid[0] * grid[1], geometry.dim)
    coordinates = Coordinates(geometry.positions, geometry.grid)
    places = coordinates(grid, tokens_BTD.device, moves_BN)
    t_B = torch.full((len(tokens_BTD),), t, device=tokens_BTD.device)
    trained = coordinates.are_trained(grid, moves_BN)
    return Site(grid, places.rows, places.columns, layer, t_B, tokens_BTD, trained)


def some_of(site: Site, chosen: Tensor) -> Site:
    """The site of some of its tokens, by index."""
    rows, columns = site.rows[..., chosen], site.columns[..., chosen]
    return Site(site.grid, rows, columns, site.layer, site.t_B, site.tokens_BTD[:, chosen], False)
