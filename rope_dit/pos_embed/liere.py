"""Rotary embedding by exponentials of learned generators."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from rope_dit.errors import UserError, check
from rope_dit.pos_embed.base import Geometry, Normal, Site
from rope_dit.pos_embed.rotation import Rotating, frequencies
from rope_dit.pos_embed.skew import by_blocks, cayley, exponential, exponential_of_4, parts_of_4
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("liere")
class LieRE(Rotating):
    """LieRE: blocks of channels are multiplied by exp(row * A + column * B), A and B skew and learned.

    Each layer, head and block of `block` channels has its own. `form=free`: any A and B; they need not
    commute, so logits depend on more than offsets, and it is not relative (with blocks of 2 it is).
    `comrope`: A = a S and B = b S, with S, a and b learned, which commute (ComRoPE-LD).
    `string`: the blocks of rope2d in a learned orthogonal basis, P exp(row * A + column * B) P^T,
    P = (I - S) (I + S)^-1 (Cayley-STRING), with S learned. The last two are relative.
    Learned: skew [depth, H, K/b, d or 2, d], d = b(b-1)/2, and with comrope share [depth, H, K/b, 2], both
    less their start. All start at 0, where it is rope2d of the same theta up to the order of channels: with
    free and string, pairs of neighbours turn by the row and by the column in turn; with comrope, and with
    blocks of 2, whole blocks do. So step 0 is rope2d's. (The paper starts at random.)
    Cost: blocks of 2 and 4 have a closed form, of some dozens of small operations a layer, for which a fast
    device waits: uncompiled on an H100 a training step of the `cifar10` preset took 1.67 times that of `none`
    (analysis/results/gpu). Others take torch's matrix exponential of each token, and their time and memory
    grow with the block. No bias; nothing added.

    Source: Ostmeier et al., arXiv:2406.10322; STRING, arXiv:2502.02562; ComRoPE, arXiv:2506.03737.

    At the start the first pair turns by the row, the second by the column:

    >>> pos = LieRE(Geometry(4, 1, 4, 1, (2, 2)))
    >>> pos.start_n2d[0].tolist()
    [[1.0, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]]
    """

    sees = ("row", "column")
    extrapolates = True
    owner = "liere"
    start_n2d: Tensor
    parts_6N: Tensor
    eye_44: Tensor

    def __init__(
        self,
        geometry: Geometry,
        *,
        theta: float = 100.0,
        block: int = 4,
        form: Literal["free", "string", "comrope"] = "free",
        values: bool = False,
    ):
        width, least = geometry.head_dim, 2 * block if form == "comrope" else max(block, 4)
        check(
            block == 2 or (block > 0 and block % 4 == 0),
            "liere: option 'block'",
            block,
            "2 or a multiple of 4",
        )
        check(not (form == "string" and block == 2), "liere: option 'block'", block,
              "4 or more with form=string: in a plane all bases are one")  # fmt: skip
        if width % least:
            raise UserError(f"liere:block={block},form={form} needs a head width divisible by {least}; got "
                            f"{width}. Change block, model.num-heads or model.dim.")  # fmt: skip
        super().__init__(geometry)
        self.block, self.form, self.values, self.relative = block, form, values, form != "free" or block == 2
        self.relative = self.relative or min(geometry.grid) == 1
        self.register_buffer("start_n2d", self._start(theta), persistent=False)
        self.register_buffer("parts_6N", parts_of_4().flatten(1), persistent=False)
        self.register_buffer("eye_44", torch.eye(4, device="cpu"), persistent=False)
        count, size = self.start_n2d.shape[0], self.start_n2d.shape[2]
        shape = (geometry.depth, geometry.num_heads, count)
        self.skew = nn.Parameter(torch.empty(*shape, *((2, size) if form == "free" else (size,))))
        self.share = nn.Parameter(torch.empty(*shape, 2)) if form == "comrope" else None

    def init_weights(self, normal: Normal) -> None:
        """Start as rope2d."""
        self.skew.zero_()
        if self.share is not None:
            self.share.zero_()

    def _start(self, theta: float) -> Tensor:
        """Generators of rope2d, float32 [K/b, 2, d]: of rows, of columns."""
        pairs, in_block = self.geometry.head_dim // 2, self.block // 2
        run = in_block if self.form == "comrope" else 1
        omega = frequencies(pairs // 2, theta, self.owner).tolist()
        numbers = [(c, r) for c in range(self.block) for r in range(c + 1, self.block)]
        start = torch.zeros(pairs // in_block, 2, len(numbers), device="cpu")
        for pair in range(pairs):
            turn, place = pair // run, 2 * (pair % in_block)
            number = numbers.index((place, place + 1))
            start[pair // in_block, turn % 2, number] = omega[turn // 2 * run + pair % run]
        return start

    def operator(self, site: Site) -> tuple[Tensor, Tensor | None]:
        """Rotations of blocks [H or 1, T, K/b, b, b], and with string the basis [H, 1, K/b, b, b]."""
        start, skew, basis = self.start_n2d, self.skew[site.layer], None
        if self.form == "string":
            generators, basis = start[None], cayley(skew, self.block)[:, None]
        elif self.share is None:
            generators = start + skew
        else:
            share = start.new_ones(2) * (start != 0).any(-1) + self.share[site.layer]
            generators = (start.sum(1) + skew)[:, :, None] * share[..., None]
        generators = generators.to(site.rows)[:, None]  # [H or 1, 1, K/b, 2, d]
        if self.block == 4:
            generators = (generators[..., None] * self.parts_6N).sum(-2)
        row, column = generators.unbind(-2)
        at = site.rows[..., None, :, None, None], site.columns[..., None, :, None, None]
        numbers = torch.addcmul(at[0] * row, at[1], column)
        if self.block == 4:
            return exponential_of_4(numbers.unflatten(-1, (2, 4, 4)), self.eye_44).float(), basis
        return exponential(numbers, self.block).float(), basis

    def turned(self, operator: Any, x_BHTK: Tensor, back: bool = False) -> Tensor:
        """Multiply blocks by their rotations, or by the inverse, in the learned basis where there is one."""
        rotation, basis = operator
        if basis is None:
            return by_blocks(rotation, x_BHTK, back)
        inside = by_blocks(rotation, by_blocks(basis, x_BHTK, back=True), back)
        return by_blocks(basis, inside)
