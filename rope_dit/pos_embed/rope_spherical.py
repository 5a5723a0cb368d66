"""Rotary embedding by rotations of three channels that do not commute."""

from typing import Any

import torch
from torch import Tensor

from rope_dit.errors import UserError
from rope_dit.pos_embed.base import Geometry, Site
from rope_dit.pos_embed.rotation import Rotating, along_axes, frequencies
from rope_dit.positions.base import Places
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("rope_spherical")
class RopeSpherical(Rotating):
    """Spherical RoPE: triples of channels turn by the column about one axis, then by the row about another.

    Triple i of n = K // 3 is multiplied by R_z(row * f) R_x(column * f), f = theta^(-i/n), radians; R_x turns
    its second and third channel, R_z its first and second. The rotations do not commute, so logits depend on
    more than the offset between tokens: it is not relative, on purpose (on one row or column only it is).
    Leftover channels (K modulo 3) are left alone. `values`: see `Rotating`. Nothing is learned; no bias;
    nothing added. Buffer: matrix_Tn33, float32.

    Source: van de Geijn et al., arXiv:2511.08368 (Spherical RoPE: non-commuting generators); the order of the
    two rotations and their axes are this project's choice.

    A row turns the first channel towards the second, a column the second towards the third, by 1 radian.

    >>> pos = RopeSpherical(Geometry(3, 1, 3, 1, (2, 2)))
    >>> down, right = pos.matrix_Tn33[2, 0], pos.matrix_Tn33[1, 0]
    >>> [f"{number:.4f}" for number in (*down[:2, 0].tolist(), *right[1:, 1].tolist())]
    ['0.5403', '0.8415', '0.5403', '0.8415']
    """

    sees = ("row", "column")
    extrapolates = True
    extrapolates_frequencies = True
    owner = "rope_spherical"
    matrix_Tn33: Tensor

    def __init__(self, geometry: Geometry, *, theta: float = 100.0, values: bool = False):
        if geometry.head_dim < 3:
            raise UserError(
                f"rope_spherical needs a head width of 3 or more (channels turn in triples); got "
                f"{geometry.head_dim}. Change model.num-heads or model.dim."
            )
        super().__init__(geometry)
        self.theta, self.values = theta, values
        self.relative = min(geometry.grid) == 1
        self.register_buffer("matrix_Tn33", self.matrices(geometry.trained_places())[0], persistent=False)

    def matrices(self, places: Places) -> Tensor:
        """R_z(row * f) R_x(column * f), float32 [1 or B, T, n, 3, 3]."""
        f = frequencies(self.geometry.head_dim // 3, self.theta, self.owner, places.rows)
        angles = along_axes(places, f.expand(1, 1, 2, -1))  # [1, T, 2, n] or [B, 1, T, 2, n]
        angles = angles if angles.dim() == 4 else angles[:, 0]
        (cz, cx), (sz, sx) = angles.cos().unbind(-2), angles.sin().unbind(-2)
        zero = torch.zeros_like(cz)
        rows = (cz, -sz * cx, sz * sx), (sz, cz * cx, -cz * sx), (zero, sx, cx)
        return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2).float()

    def operator(self, site: Site) -> Tensor:
        """Matrices that are kept, or those of other places, [1 or B, 1, T, n, 3, 3]."""
        kept = self.matrix_Tn33[None] if site.trained else self.matrices(site)
        return kept.unsqueeze(1)

    def turned(self, operator: Any, x_BHTK: Tensor, back: bool = False) -> Tensor:
        """Multiply triples by their matrices, or by the transposed ones."""
        triples, rest = x_BHTK.tensor_split((3 * operator.shape[-3],), dim=-1)
        matrix = operator.mT if back else operator
        turned = (matrix * triples.unflatten(-1, (-1, 3)).unsqueeze(-2)).sum(-1).flatten(-2)
        turned = turned.to(x_BHTK.dtype)
        return torch.cat((turned, rest), dim=-1) if rest.shape[-1] else turned
