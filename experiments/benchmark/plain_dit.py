"""A plain eager DiT with 2D RoPE and its training step: `experiments.bench` measures against it."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Shift and scale tokens [B, T, D] by [B, D]."""
    return x * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1)


def rope_angles(grid: int, head_dim: int, theta: float = 100.0) -> Tensor:
    """Angles [T, K/2]: the first half turns with the row, the second with the column."""
    freq = theta ** (-torch.arange(0, head_dim // 2, 2) / (head_dim // 2))
    row, col = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    return torch.cat([row.reshape(-1, 1) * freq, col.reshape(-1, 1) * freq], dim=-1)


def rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (i, i + K/4) of each half of x [B, H, T, K]; cos and sin are [T, K]."""
    parts = x.chunk(4, dim=-1)
    return x * cos + torch.cat([-parts[1], parts[0], -parts[3], parts[2]], dim=-1) * sin


class Block(nn.Module):
    """One adaLN-Zero block."""

    def __init__(self, dim: int, heads: int, ratio: float = 4.0):
        super().__init__()
        self.heads, hidden = heads, int(dim * ratio)
        self.norm1 = nn.LayerNorm(dim, elementwise_affine=False, eps=1e-6)
        self.norm2 = nn.LayerNorm(dim, elementwise_affine=False, eps=1e-6)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, dim))
        self.ada = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))

    def attention(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Self-attention over tokens [B, T, D]."""
        B, T, D = x.shape
        q, k, v = self.qkv(x).view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = rope(q, cos, sin).to(v.dtype), rope(k, cos, sin).to(v.dtype)
        out: Tensor = self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, T, D))
        return out

    def forward(self, x: Tensor, c: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Tokens [B, T, D] after the block."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.ada(c).chunk(6, dim=1)
        x = x + gate1.unsqueeze(1) * self.attention(modulate(self.norm1(x), shift1, scale1), cos, sin)
        out: Tensor = x + gate2.unsqueeze(1) * self.mlp(modulate(self.norm2(x), shift2, scale2))
        return out


class PlainDiT(nn.Module):
    """Patchify, blocks, unpatchify, as a first version would be written."""

    cos: Tensor
    sin: Tensor

    def __init__(self, size: int = 32, channels: int = 3, classes: int = 10, patch: int = 4, dim: int = 256,
                 depth: int = 6, heads: int = 8):  # fmt: skip
        super().__init__()
        self.channels, self.patch, self.grid, self.dim = channels, patch, size // patch, dim
        self.embed = nn.Linear(channels * patch * patch, dim)
        self.time = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.label = nn.Embedding(classes + 1, dim)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, elementwise_affine=False, eps=1e-6)
        self.ada = nn.Sequential(nn.SiLU(), nn.Linear(dim, 2 * dim))
        self.out = nn.Linear(dim, channels * patch * patch)
        angles = rope_angles(self.grid, dim // heads)
        angles = torch.cat([half.repeat(1, 2) for half in angles.chunk(2, dim=-1)], dim=-1)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """Velocity [B, C, S, S] at images x [B, C, S, S], times t [B] in [0, 1], classes y [B]."""
        g, p = self.grid, self.patch
        freq = torch.exp(-math.log(10000) * torch.arange(self.dim // 2, device=x.device) / (self.dim // 2))
        angle = 1000 * t[:, None] * freq
        c = self.time(torch.cat([angle.cos(), angle.sin()], dim=-1)) + self.label(y)
        x = x.view(-1, self.channels, g, p, g, p).permute(0, 2, 4, 1, 3, 5).reshape(len(x), g * g, -1)
        x = self.embed(x)
        for block in self.blocks:
            x = block(x, c, self.cos, self.sin)
        shift, scale = self.ada(c).chunk(2, dim=1)
        x = self.out(modulate(self.norm(x), shift, scale))
        return (
            x.view(-1, g, g, self.channels, p, p)
            .permute(0, 3, 1, 4, 2, 5)
            .reshape(-1, self.channels, g * p, g * p)
        )


def train_step(
    model: PlainDiT, bf16: bool = False, lr: float = 2e-3
) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Return step(data, noise, t, y) -> loss: forward, backward, clip, AdamW, EMA."""
    ema = deepcopy(model).requires_grad_(False)
    opt = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    params, averages = list(model.parameters()), list(ema.parameters())

    def step(data: Tensor, noise: Tensor, t: Tensor, y: Tensor) -> Tensor:
        time = t[:, None, None, None]
        with torch.autocast(data.device.type, torch.bfloat16) if bf16 else nullcontext():
            velocity = model(time * data + (1 - time) * noise, t, y)
        loss = F.mse_loss(velocity.float(), data - noise)
        loss.backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        torch._foreach_lerp_([*averages], [*params], 0.001)
        return loss.detach()

    return step
