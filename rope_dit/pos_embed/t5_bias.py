"""A learned bias of the logits for each bucket of offsets, one axis at a time."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rope_dit.errors import check
from rope_dit.pos_embed.base import Geometry, Normal, Site, exactly
from rope_dit.pos_embed.offsets import Axes, Steps, summed
from rope_dit.positions.base import Places
from rope_dit.registry import POS_EMBEDS


def bucket(offset: Tensor, buckets: int, reach: int) -> Tensor:
    """Bucket of an offset, an integer: 0..buckets-1 for 0 and below, buckets..2*buckets-1 above 0.

    Of the `buckets` of a sign the first half hold one distance each, 0, 1, ...; the others grow as powers, so
    that the last one begins a step before `reach` and holds all that is farther.

    >>> bucket(torch.tensor([0.0, -1.0, 1.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 12.0, 99.0]), 8, 16).tolist()
    [0, 1, 9, 11, 12, 12, 13, 13, 14, 15, 15]
    """
    exact = buckets // 2
    distance = offset.abs() + 1e-4  # steps that are no indices are rounded
    grown = (distance / exact).log() / math.log(reach / exact) * (buckets - exact)
    inside = torch.where(distance < exact, distance, (exact + grown).clamp(max=buckets - 1))
    return inside.long() + buckets * (offset > 1e-4)


@POS_EMBEDS.register("t5_bias")
class T5Bias(Steps):
    """Learned bias for buckets of the offset along each axis, added up (T5, arXiv:1910.10683).

    The logit of query i and key j gets R[head, bucket(row_j - row_i)] + C[head, bucket(column_j -
    column_i)]: one bucket a distance at first, then wider ones, with buckets of their own for each sign. All
    layers share the tables, as in T5. T5 has 16 buckets a sign up to a distance of 128, for texts of 512
    tokens; the defaults here, 8 and 16, are for pictures whose sides have 4 to 32 tokens.

    Weights: rows_Hb, columns_Hb [heads, 2*buckets], initially 0, so that step 0 is that of `none`; gradients
    flow, since the bias is added. Offsets count in steps of the trained grid. Buffers: row_buckets [h, h,
    2*buckets] and column_buckets [w, w, 2*buckets], float32, 1 at the bucket of the trained places.

    Source: Raffel et al., T5, arXiv:1910.10683, section 2.1 (sharing and buckets); the rule of buckets is
    that of its authors' code, bidirectional; its use along two axes: this project.

    >>> tuple(T5Bias(Geometry(32, 4, 8, 2, (5, 7))).rows_Hb.shape)
    (4, 16)
    """

    relative = True
    sees = ("row", "column")
    extrapolates = True
    row_buckets: Tensor
    column_buckets: Tensor

    def __init__(self, geometry: Geometry, *, buckets: int = 8, reach: int = 16):
        check(buckets > 1, "t5_bias: option 'buckets'", buckets, "2 or more")
        half = buckets // 2
        check(reach > half, "t5_bias: option 'reach'", reach, f"more than half of the buckets, {half}")
        super().__init__(geometry)
        self.buckets, self.farthest = buckets, reach
        self.rows_Hb = nn.Parameter(torch.empty(geometry.num_heads, 2 * buckets))
        self.columns_Hb = nn.Parameter(torch.empty(geometry.num_heads, 2 * buckets))
        rows, columns = self._chosen(geometry.trained_places())
        self.register_buffer("row_buckets", rows, persistent=False)
        self.register_buffer("column_buckets", columns, persistent=False)

    def init_weights(self, normal: Normal) -> None:
        """Leave the tables at 0."""
        self.rows_Hb.zero_()
        self.columns_Hb.zero_()

    def bias(self, site: Site, q_BHTK: Tensor, k_BHTK: Tensor) -> Tensor:
        """Read both tables."""
        chosen = (self.row_buckets, self.column_buckets) if site.trained else self._chosen(site)
        with exactly(site.rows.device):  # what is read is exact
            both = zip(chosen, (self.rows_Hb, self.columns_Hb), strict=True)
            rows, columns = (torch.einsum("...ijb,hb->...hij", one, table) for one, table in both)
            bias = summed(site, rows, columns).to(q_BHTK.dtype)
        return bias if bias.dim() == 4 else bias[None]

    def _chosen(self, places: Places) -> Axes:
        """1 at the bucket of each pair of rows and of columns, else 0."""
        at = (bucket(offset, self.buckets, self.farthest) for offset in self.in_steps(places))
        rows, columns = (F.one_hot(index, 2 * self.buckets).float() for index in at)
        return rows, columns
