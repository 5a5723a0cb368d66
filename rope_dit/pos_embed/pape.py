"""A parabola of the logits around each query, whose shape the query's token decides."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rope_dit.errors import check
from rope_dit.pos_embed.base import Geometry, Normal, PosEmbed, Site, exactly
from rope_dit.pos_embed.offsets import offsets, summed
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("pape")
class Pape(PosEmbed):
    """Parabolas along learned directions, shaped by the query's token (PaPE, arXiv:2602.01418).

    The logit of query i and key j gets sum_p -a_p(x_i) (u_p(i) - u_p(j))^2 + b_p(x_i) (u_p(i) - u_p(j)),
    where u_p is a learned linear map of a token's row and column, x_i the token that enters the block, b_p
    a learned linear map of it, and a_p = softplus of another, so that parabolas open downwards. By layer
    and head. `invariant` (PaPE-RI): -a_h(x_i) s_h^2 distance(i, j)^2, one a head, where s_h is fixed; the
    authors draw it evenly from -sqrt(1/2) to sqrt(1/2), here s_h = sqrt(1/2) (h + 1/2) / heads. `parabolas`
    and `std` do nothing then.

    The authors have 50 parabolas, normed tokens and positions between 0 and 1; here positions are those of
    `model.positions`. Squares are expanded, so that all is one product of matrices, 2P+1 wide.

    Weights: directions_LHP2 [layers, heads, P, 2], initially normal with standard deviation `std`; map_LDN
    [layers, D, 2*heads*P], for a and then b, or [layers, D, heads], normal with 1/sqrt(D). With the default
    std 0 all u are 0, and step 0 is that of `none`; gradients reach the directions by b. `invariant` starts
    with nearer tokens preferred, a being about log 2.

    Source: Ohrstrom et al., arXiv:2602.01418, and its code for the start.

    >>> tuple(Pape(Geometry(32, 4, 8, 2, (5, 7))).directions_LHP2.shape)
    (2, 4, 8, 2)
    """

    relative = True
    sees = ("row", "column")
    extrapolates = True

    def __init__(self, geometry: Geometry, *, parabolas: int = 8, invariant: bool = False, std: float = 0.0):
        check(parabolas > 0, "pape: option 'parabolas'", parabolas, "1 or more")
        check(std >= 0, "pape: option 'std'", std, "0 or more")
        super().__init__(geometry)
        self.invariant, self.std, self.symmetric = invariant, std, invariant
        depth, heads = geometry.depth, geometry.num_heads
        outputs = heads if invariant else 2 * heads * parabolas
        if not invariant:
            self.directions_LHP2 = nn.Parameter(torch.empty(depth, heads, parabolas, 2))
        self.map_LDN = nn.Parameter(torch.empty(depth, geometry.dim, outputs))
        places = geometry.trained_places()
        self.middle = float(places.rows.mean()), float(places.columns.mean())

    def init_weights(self, normal: Normal) -> None:
        """Draw maps and directions."""
        self.map_LDN.copy_(normal("map_LDN", tuple(self.map_LDN.shape)) * self.geometry.dim**-0.5)
        if not self.invariant:
            shape = tuple(self.directions_LHP2.shape)
            self.directions_LHP2.copy_(self.std * normal("directions_LHP2", shape))

    def bias(self, site: Site, q_BHTK: Tensor, k_BHTK: Tensor) -> Tensor:
        """Make the parabolas of each query, in float32 or better: squares cancel."""
        kind = torch.promote_types(site.tokens_BTD.dtype, torch.float32)
        with exactly(site.rows.device):
            shapes = site.tokens_BTD.to(kind) @ self.map_LDN[site.layer].to(kind)  # [B, T, N]
            make = self._around if self.invariant else self._along
            return make(site, shapes).to(q_BHTK.dtype)

    def _around(self, site: Site, shapes_BTH: Tensor) -> Tensor:
        heads = self.geometry.num_heads
        h = torch.arange(heads, dtype=shapes_BTH.dtype, device=shapes_BTH.device)
        in_order_BHT = shapes_BTH.transpose(1, 2).contiguous()  # as softplus' gradient is, when compiled
        a_BHT = F.softplus(in_order_BHT) * ((h[:, None] + 0.5) / heads) ** 2 / 2
        rows, columns = offsets(site)
        square = summed(site, rows**2, columns**2).to(a_BHT)  # [T, T] or [B, T, T]
        return -a_BHT[..., None] * square.unsqueeze(-3)

    def _along(self, site: Site, shapes_BTN: Tensor) -> Tensor:
        directions_HP2 = self.directions_LHP2[site.layer].to(shapes_BTN.dtype)
        places = torch.stack((site.rows - self.middle[0], site.columns - self.middle[1]), dim=-1)
        u = torch.einsum("...tc,hpc->...htp", places.to(shapes_BTN), directions_HP2)  # [.., H, T, P]
        ab = shapes_BTN.unflatten(-1, (2, *directions_HP2.shape[:2])).permute(2, 0, 3, 1, 4)
        a, b = F.softplus(ab[0]), ab[1]  # [B, H, T, P]
        own = (u * (b - a * u)).sum(-1, keepdim=True)
        queries = torch.cat((2 * a * u - b, -a, own), dim=-1)
        keys = torch.cat((u, u**2, torch.ones_like(u[..., :1])), dim=-1)
        return queries @ keys.transpose(-1, -2)
