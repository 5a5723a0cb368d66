"""What the network asks of a positional embedding: where, how often and of which tokens."""

import math

import pytest
import torch
from test_model import awake, inputs, make
from torch import Tensor, nn
from torch.nn import functional as F

from rope_dit.pos_embed.base import PosEmbed


class Biased(PosEmbed):
    """A bias of `value` on all logits, or none."""

    def __init__(self, geometry, value: float | None):
        super().__init__(geometry)
        self.amount = value

    def bias(self, site, q_BHTK, k_BHTK):
        tokens = q_BHTK.shape[2]
        return None if self.amount is None else torch.full((1, 2, tokens, tokens), self.amount)


def with_bias(value: float | Tensor | None) -> Tensor:
    model = awake(make("none"))
    model.pos_embed = Biased(model.pos_embed.geometry, value)
    return model(*inputs())


def test_no_bias_is_a_bias_of_zero_and_constants_cancel():
    torch.testing.assert_close(with_bias(None), with_bias(0.0), rtol=0, atol=1e-6)
    torch.testing.assert_close(with_bias(None), with_bias(3.0), rtol=0, atol=1e-5)


class Recording(PosEmbed):
    """Remembers where its hooks were called, and lets each token see itself alone."""

    def __init__(self, geometry):
        super().__init__(geometry)
        self.calls: list[tuple[str, tuple[int, int], int]] = []

    def add(self, site, x_BTD):
        self.calls.append(("add", site.grid, site.layer))
        return x_BTD

    def rotate(self, site, q_BHTK, k_BHTK):
        self.calls.append(("rotate", site.grid, site.layer))
        assert q_BHTK.shape == k_BHTK.shape == (3, 2, 12, 8)
        assert torch.equal(site.t_B, inputs()[1])
        return q_BHTK, k_BHTK

    def bias(self, site, q_BHTK, k_BHTK):
        self.calls.append(("bias", site.grid, site.layer))
        return torch.full((12, 12), -math.inf).fill_diagonal_(0.0).expand(1, 2, 12, 12)


class Patches(PosEmbed):
    """Hooks that must see patches alone, 12 of them."""

    def add(self, site, x_BTD):
        assert x_BTD.shape[1] == site.tokens_BTD.shape[1] == site.rows.shape[-1] == 12
        return x_BTD

    def rotate(self, site, q_BHTK, k_BHTK):
        assert q_BHTK.shape[2] == k_BHTK.shape[2] == site.tokens_BTD.shape[1] == 12
        return q_BHTK, k_BHTK

    def bias(self, site, q_BHTK, k_BHTK):
        assert q_BHTK.shape[2] == k_BHTK.shape[2] == 12
        return torch.zeros(1, 2, 12, 12)

    def value(self, site, v_BHTK):
        assert v_BHTK.shape[2] == 12
        return v_BHTK

    def output(self, site, out_BHTK):
        assert out_BHTK.shape[2] == 12
        return out_BHTK


def test_registers_are_kept_away_from_hooks_and_carried_from_block_to_block():
    model, seen = awake(make("none", registers=3)), []
    expected = model(*inputs())
    model.pos_embed = Patches(model.pos_embed.geometry)
    for block in model.blocks:
        block.register_forward_hook(lambda module, args, out: seen.append((args[0][:, 12:], out[:, 12:])))
    torch.testing.assert_close(model(*inputs()), expected, rtol=0, atol=1e-6)
    assert torch.equal(seen[0][0], model.registers.expand(3, -1, -1))
    assert torch.equal(seen[1][0], seen[0][1])


class Wider(PosEmbed):
    """Zeros behind queries, keys and values, which are taken off again."""

    def rotate(self, site, q_BHTK, k_BHTK):
        return F.pad(q_BHTK, (0, 4)), F.pad(k_BHTK, (0, 4))

    def value(self, site, v_BHTK):
        return F.pad(v_BHTK, (0, 2))

    def output(self, site, out_BHTK):
        return out_BHTK[..., :-2]


@pytest.mark.parametrize("registers", [0, 3])
def test_zeros_behind_queries_keys_and_values_change_nothing(registers):
    model = awake(make("none", registers=registers))
    expected = model(*inputs())
    model.pos_embed = Wider(model.pos_embed.geometry)
    torch.testing.assert_close(model(*inputs()), expected, rtol=0, atol=1e-5)


def test_hooks_are_called_once_a_block_with_their_place_and_the_bias_is_obeyed():
    model = awake(make("none"))
    model.pos_embed = Recording(model.pos_embed.geometry)
    x, t, labels = inputs()
    out = model(x, t, labels)
    hooks = ("add", "rotate", "bias")
    assert model.pos_embed.calls == [(hook, (3, 4), layer) for layer in (0, 1) for hook in hooks]
    x = x.clone()
    x[:, :, :2, :2] += 1  # the first patch
    changed = (model(x, t, labels) - out).abs().amax((0, 1))
    assert (changed[:2, :2] > 1e-4).all()
    assert not changed[2:].any()
    assert not changed[:, 2:].any()


@pytest.mark.parametrize("variant", ["rope2d", "sincos2d"])
def test_each_picture_s_tokens_are_where_its_numbers_say(variant):
    model = awake(make(variant, positions="index+jitter"))
    x, t, labels = inputs()
    still, moved = torch.full((3, 2), 0.5), torch.tensor([[0.9, 0.2], [0.5, 0.5], [0.1, 0.6]])
    expected, out = model(x, t, labels), model(x, t, labels, moved)
    assert model.num_moves == 2
    torch.testing.assert_close(model(x, t, labels, still), expected, rtol=0, atol=1e-5)
    changed = (out - expected).abs().amax((1, 2, 3))
    assert changed[1] < 1e-5 < 1e-3 < min(changed[0], changed[2])
    for i in range(3):
        alone = model(x[i : i + 1], t[i : i + 1], labels[i : i + 1], moved[i : i + 1])
        torch.testing.assert_close(alone[0], out[i], rtol=0, atol=1e-5)


PAIRS = ["learned+relative_bias", "rope2d+conv", "relative_bias+rope2d", "rope2d+tupe", "lookhere+pape"]
PAIRS += ["alibi2d+relative_key", "conv+t5_bias", "learned_axial+shuffled", "random+relative_bias+rope2d"]


@pytest.mark.parametrize("registers", [0, 3])
@pytest.mark.parametrize("spec", PAIRS)
def test_variants_act_together_and_each_of_them_counts(spec, registers):
    """Also on a larger picture: without one of them the network says something else."""
    whole, sizes = awake(make(spec, registers=registers)), (inputs(), inputs(size=(8, 12)))
    expected, parts = [whole(*args) for args in sizes], list(whole.pos_embed.parts)
    assert all(torch.isfinite(out).all() for out in expected)
    for left_out in parts:
        whole.pos_embed.parts = nn.ModuleList(part for part in parts if part is not left_out)
        for args, out in zip(sizes, expected, strict=True):
            assert (whole(*args) - out).abs().max() > 1e-4, type(left_out).__name__
