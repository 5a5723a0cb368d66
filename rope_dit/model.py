"""DiT: a transformer over patches, modulated by time and class (Peebles & Xie, arXiv:2212.09748).

It calls the hooks of its positional embedding and never asks which variant it has. Any image size that the
patch divides is accepted at call time, square or not. Registers (learned tokens without position, Darcet et
al., arXiv:2309.16588) stand behind the patches and are kept away from the hooks.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rope_dit.config import ModelConfig
from rope_dit.errors import UserError
from rope_dit.extrapolations.compose import Extrapolations
from rope_dit.pos_embed.base import Geometry, Grid, PosEmbed, Site, exactly
from rope_dit.pos_embed.compose import build
from rope_dit.pos_embed.larger import able
from rope_dit.positions.coordinates import Coordinates
from rope_dit.randomness import Stream, name_index, normal, uniform


class DiT(nn.Module):
    """The velocity network v(x, t, class).

    Args:
        config: widths and options.
        variant: spec of the positional embedding, for example `rope2d:theta=100`.
        channels: image channels C.
        image_size: (height, width) in pixels of the training images.
        num_classes: number of classes; ignored where config.conditional is False.
        null_class: add a class `num_classes` that stands for none, as guidance needs.
    """

    def __init__(
        self,
        config: ModelConfig,
        variant: str,
        *,
        channels: int,
        image_size: tuple[int, int],
        num_classes: int,
        null_class: bool,
    ):
        super().__init__()
        self.config, self.channels = config, channels
        grid = self._grid(*image_size)
        shape = config.dim, config.num_heads, config.head_dim, config.depth
        self.pos_embed = build(variant, Geometry(*shape, grid, config.positions))
        self.positions = Coordinates(config.positions, grid)
        self.variant = variant
        self.extrapolation: Extrapolations | None = None
        self.registers = nn.Parameter(torch.empty(config.registers, config.dim)) if config.registers else None
        self.patchify = nn.Linear(channels * config.patch**2, config.dim)
        self.time = nn.Sequential(
            nn.Linear(config.dim, config.dim), nn.SiLU(), nn.Linear(config.dim, config.dim)
        )
        self.null_label = num_classes if null_class and config.conditional else None
        self.label = nn.Embedding(num_classes + null_class, config.dim) if config.conditional else None
        self.modulation = nn.Linear(config.dim, 6 * config.dim) if config.adaln == "shared" else None
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.final_norm = _norm(config)
        self.final_modulation = nn.Linear(config.dim, 2 * config.dim)
        self.final = nn.Linear(config.dim, channels * config.patch**2)

    def forward(
        self,
        x_BCHW: Tensor,
        t_B: Tensor,
        labels_B: Tensor | None = None,
        moves_BN: Tensor | None = None,
    ) -> Tensor:
        """Velocity [B, C, H, W] at images x, times t in [0, 1] and labels (ints; unused if unconditional).

        moves_BN are uniforms in (0, 1) that move the tokens in training, N = positions.num_moves(grid);
        without them tokens are where evaluation has them. The residual stream has the images' type, also
        under autocast: it must not depend on the variant.
        """
        grid, patch = self._grid(*x_BCHW.shape[2:]), self.config.patch
        x_BTD: Tensor = self.patchify(_to_patches(x_BCHW, grid, patch)).to(x_BCHW.dtype)
        c_BD: Tensor = self.time(time_features(t_B, self.config.dim).to(x_BCHW.dtype))
        if self.label is not None:
            assert labels_B is not None, "a class-conditional model needs labels"
            c_BD = c_BD + self.label(labels_B)
        c_BD = F.silu(c_BD)
        shared = self.modulation(c_BD) if self.modulation is not None else None
        at = self._sites(grid, t_B, moves_BN)
        registers = None if self.registers is None else self.registers.to(x_BTD).expand(len(x_BTD), -1, -1)
        for layer, block in enumerate(self.blocks):
            x_BTD = self.pos_embed.add(at(layer, x_BTD), x_BTD)
            all_BTD = block(_join(x_BTD, registers), c_BD, shared, at(layer, x_BTD), self.pos_embed)
            x_BTD, registers = _part(all_BTD, x_BTD.shape[1], registers)
        shift, scale = self.final_modulation(c_BD)[:, None].chunk(2, dim=-1)
        return _to_image(self.final(_modulate(self.final_norm(x_BTD), shift, scale)), grid, patch)

    def set_extrapolation(self, spec: str) -> None:
        """From here on, treat grids that are larger than the trained one as `spec` says; evaluation only.

        Raises UserError where it has no meaning for the variant or its positions.
        """
        self.extrapolation = Extrapolations(
            spec, able(self.variant, self.pos_embed, self.positions, self.config.positions)
        )

    def _sites(self, grid: Grid, t_B: Tensor, moves_BN: Tensor | None) -> Callable[[int, Tensor], Site]:
        """Return what makes the site of a block from its number and the tokens that enter it."""
        places = self.positions(grid, t_B.device, moves_BN)
        trained = self.positions.are_trained(grid, moves_BN)
        done = self.extrapolation
        stretch = None if done is None else done.stretch(self.positions.trained, grid, t_B)
        rows, columns = places.rows, places.columns
        if stretch is not None:
            assert moves_BN is None, "an extrapolation is for evaluation, where nothing moves"
            rows, columns = self.pos_embed.squeezed(stretch, places)
        return lambda layer, x_BTD: Site(grid, rows, columns, layer, t_B, x_BTD, trained, stretch)

    @property
    def num_moves(self) -> int:
        """Uniforms a picture of the trained size that `forward` takes in training, to move its tokens."""
        return self.positions.num_moves(self.positions.trained)

    @torch.no_grad()
    def init_weights(self, seed: int) -> None:
        """Set all weights as functions of (seed, name): equal names start equal in every arm of a seed.

        Xavier-uniform matrices, embeddings and registers normal with 0.02, and zeros for biases, modulations
        and the output (adaLN-Zero: each block starts as the identity, the velocity as 0).
        """
        for name, module in self.named_modules():
            if name.startswith("pos_embed"):
                continue
            if isinstance(module, Block) and module.offset is not None:
                module.offset.zero_()
            elif isinstance(module, nn.RMSNorm) and module.weight is not None:
                module.weight.fill_(1.0)
            elif isinstance(module, nn.Embedding):
                shape = tuple(module.weight.shape)
                module.weight.copy_(0.02 * draw(seed, Stream.SHARED_WEIGHTS, name, shape))
            elif isinstance(module, nn.Linear):
                shape = tuple(module.weight.shape)
                bound = 0.0 if name.endswith(("modulation", "final")) else math.sqrt(6 / sum(shape))
                module.weight.copy_(bound * (2 * draw(seed, Stream.SHARED_WEIGHTS, name, shape, uniform) - 1))
                module.bias.zero_()
        if self.registers is not None:
            shape = tuple(self.registers.shape)
            self.registers.copy_(0.02 * draw(seed, Stream.SHARED_WEIGHTS, "registers", shape))
        self.pos_embed.init_weights(lambda name, shape: draw(seed, Stream.VARIANT_WEIGHTS, name, shape))

    def _grid(self, height: int, width: int) -> Grid:
        patch = self.config.patch
        if height % patch or width % patch:
            raise UserError(
                f"model.patch got {patch}, expected a divisor of the image's sides ({height} x {width})."
            )
        return height // patch, width // patch


class Block(nn.Module):
    """Attention and MLP, each shifted, scaled and gated by the condition; gates start at zero."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        shared = config.adaln == "shared"  # PixArt-alpha's adaLN-single, arXiv:2310.00426: an offset a block
        self.modulation = None if shared else nn.Linear(config.dim, 6 * config.dim)
        self.offset = nn.Parameter(torch.empty(6 * config.dim)) if shared else None
        self.attention_norm, self.mlp_norm = _norm(config), _norm(config)
        self.attention = Attention(config)
        self.mlp = SwiGLU(config) if config.mlp == "swiglu" else MLP(config)

    def forward(
        self, x_BTD: Tensor, c_BD: Tensor, shared: Tensor | None, site: Site, pos_embed: PosEmbed
    ) -> Tensor:
        """Return x [B, T, D] after one block; `shared` is the modulation [B, 6D] of all blocks, or None."""
        modulation_B1D = self._modulation(c_BD, shared)[:, None]
        shift1, scale1, gate1, shift2, scale2, gate2 = modulation_B1D.chunk(6, dim=-1)
        in_BTD = _modulate(self.attention_norm(x_BTD), shift1, scale1)
        x_BTD = x_BTD + gate1 * self.attention(in_BTD, site, pos_embed)
        x_BTD = x_BTD + gate2 * self.mlp(_modulate(self.mlp_norm(x_BTD), shift2, scale2))
        return x_BTD

    def _modulation(self, c_BD: Tensor, shared: Tensor | None) -> Tensor:
        if self.modulation is not None:
            own: Tensor = self.modulation(c_BD)
            return own
        assert shared is not None, "adaln=shared needs the modulation of all blocks"
        assert self.offset is not None, "made where there is no modulation"
        return shared + self.offset


class Attention(nn.Module):
    """Multi-head attention with the positional embedding's `rotate`, `bias`, `value` and `output`."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.num_heads, self.head_dim = config.num_heads, config.head_dim
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.proj = nn.Linear(config.dim, config.dim)
        self.q_norm = nn.RMSNorm(config.head_dim, eps=1e-6) if config.qk_norm else None
        self.k_norm = nn.RMSNorm(config.head_dim, eps=1e-6) if config.qk_norm else None

    def forward(self, x_BTD: Tensor, site: Site, pos_embed: PosEmbed) -> Tensor:
        """Return the attended values [B, T, D]; tokens behind those of the site are registers."""
        q, k, v, bias = self._projected(x_BTD, site, pos_embed)
        out_BHTK = attend(q, k, v, bias, self.head_dim)
        out_BHTK = _put_back(pos_embed.output(site, out_BHTK[:, :, : site.rows.shape[-1]]), out_BHTK)
        out_BTD: Tensor = self.proj(out_BHTK.transpose(1, 2).flatten(2))
        return out_BTD

    def weights(self, x_BTD: Tensor, site: Site, pos_embed: PosEmbed) -> Tensor:
        """Return shares of each patch's attention among patches, as in `forward`, float32 [B, H, T, T]."""
        q, k, _, bias = self._projected(x_BTD, site, pos_embed)
        count = site.rows.shape[-1]
        with exactly(x_BTD.device):
            scaled = q[:, :, :count].float() * self.head_dim**-0.5
            logits = scaled @ k[:, :, :count].float().transpose(-1, -2)
            logits = logits if bias is None else logits + bias[..., :count, :count].float()
            return F.softmax(logits, -1)

    def _projected(
        self, x_BTD: Tensor, site: Site, pos_embed: PosEmbed
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Queries, keys and values as they are multiplied, and what is added to the logits."""
        qkv: Tensor = self.qkv(x_BTD)
        q, k, v = (a.contiguous() for a in qkv.unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4))
        if self.q_norm is not None and self.k_norm is not None:
            q, k = (x.to(self.q_norm.weight.dtype) for x in (q, k))  # norms in float32, also under autocast
            q, k = self.q_norm(q), self.k_norm(k)
        kind, count = v.dtype, site.rows.shape[-1]
        extra = x_BTD.shape[1] - count
        patches = q[:, :, :count], k[:, :, :count]
        turned, bias = pos_embed.rotate(site, *patches), pos_embed.bias(site, *patches)
        changed = *turned, pos_embed.value(site, v[:, :, :count])
        q, k, v = (_put_back(new, old).to(kind) for new, old in zip(changed, (q, k, v), strict=True))
        if site.stretch is not None:
            q = (q * site.stretch.logits()).to(kind)
        if bias is not None and extra:  # none for registers
            bias = F.pad(bias, (0, extra, 0, extra))
        return q, k, v, bias


def _put_back(patches_BHTK: Tensor, all_BHTK: Tensor) -> Tensor:
    """Patches as a hook returns them, with the registers behind them, filled up with zeros to their width.

    Where it made patches narrower again, registers lose what they got.
    """
    registers = all_BHTK[:, :, patches_BHTK.shape[2] :]
    if registers.shape[2] == 0:
        return patches_BHTK
    wider = patches_BHTK.shape[3] - registers.shape[3]
    return torch.cat((patches_BHTK, F.pad(registers, (0, wider)).to(patches_BHTK)), dim=2)


def attend(
    q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, bias: Tensor | None, head_dim: int | None = None
) -> Tensor:
    """softmax(q k^T / sqrt(K) + bias) v, [B, H, T, K]; bias broadcasts to [B, H, T, T].

    K is `head_dim` where q and k are wider than the head. Written out on CPUs, where the backward of
    PyTorch's fused attention takes five times as long in bf16.
    """
    scale = (head_dim or q_BHTK.shape[-1]) ** -0.5
    if q_BHTK.device.type != "cpu":
        mask = None if bias is None else bias.to(q_BHTK.dtype)
        return F.scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK, attn_mask=mask, scale=scale)
    logits = (q_BHTK * scale) @ k_BHTK.transpose(-1, -2)
    weights: Tensor = (logits if bias is None else logits + bias).softmax(-1)
    return weights.to(v_BHTK.dtype) @ v_BHTK


class MLP(nn.Sequential):
    """Two matrices with a tanh-approximated GELU between them."""

    def __init__(self, config: ModelConfig):
        hidden = round(config.dim * config.mlp_ratio)
        super().__init__(
            nn.Linear(config.dim, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, config.dim)
        )


class SwiGLU(nn.Module):
    """Gated MLP (Shazeer, arXiv:2002.05202) with 2/3 of the hidden width, to keep the number of weights."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        hidden = max(1, round(config.dim * config.mlp_ratio * 2 / 3))
        self.gate_and_up = nn.Linear(config.dim, 2 * hidden)
        self.down = nn.Linear(hidden, config.dim)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Return [B, T, D]."""
        gate, up = self.gate_and_up(x_BTD).chunk(2, dim=-1)
        out_BTD: Tensor = self.down(F.silu(gate) * up)
        return out_BTD


def time_features(t_B: Tensor, dim: int) -> Tensor:
    """Cosines, then sines of 1000*t at h = dim/2 frequencies 10000^(-i/h), i = 0..h-1 (DiT: time 0..1000).

    The lowest is 10000^(-(h-1)/h).
    """
    omega = torch.exp(torch.arange(dim // 2, device=t_B.device) * (-math.log(10000) / (dim // 2)))
    angle = 1000 * t_B[:, None].float() * omega
    return torch.cat((angle.cos(), angle.sin()), dim=-1)


def draw(
    seed: int, stream: Stream, name: str, shape: tuple[int, ...], how: Callable[..., Tensor] = normal
) -> Tensor:
    """Random numbers [shape] for the weight called `name`, on the CPU."""
    return how(seed, stream, name_index(name, torch.device("cpu")), math.prod(shape)).reshape(shape)


def _join(patches_BTD: Tensor, registers: Tensor | None) -> Tensor:
    return patches_BTD if registers is None else torch.cat((patches_BTD, registers), dim=1)


def _part(all_BTD: Tensor, count: int, registers: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Undo `_join` of `count` patches and, where there are some, registers."""
    return (all_BTD, None) if registers is None else (all_BTD[:, :count], all_BTD[:, count:])


def _norm(config: ModelConfig) -> nn.Module:
    if config.norm == "rmsnorm":
        return nn.RMSNorm(config.dim, eps=1e-6, elementwise_affine=False)
    return nn.LayerNorm(config.dim, eps=1e-6, elementwise_affine=False)


def _modulate(x_BTD: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return x_BTD * (1 + scale) + shift


def _to_patches(x_BCHW: Tensor, grid: tuple[int, int], patch: int) -> Tensor:
    """[B, C, H, W] -> [B, T, C*patch*patch], tokens row-major."""
    blocks = x_BCHW.unflatten(3, (grid[1], patch)).unflatten(2, (grid[0], patch))  # B C h p w q
    patches_BTP: Tensor = blocks.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
    return patches_BTP


def _to_image(x_BTP: Tensor, grid: tuple[int, int], patch: int) -> Tensor:
    """[B, T, C*patch*patch] -> [B, C, H, W], the inverse of `_to_patches`."""
    blocks = x_BTP.unflatten(2, (-1, patch, patch)).unflatten(1, grid)  # B h w C p q
    x_BCHW: Tensor = blocks.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)
    return x_BCHW
