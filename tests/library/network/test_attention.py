"""Attention written out for CPUs is the attention that PyTorch fuses elsewhere."""

import pytest
import torch
from torch.nn import functional as F

from rope_dit.config import ModelConfig
from rope_dit.model import DiT, attend
from rope_dit.randomness import Stream, normal


def draw(index: int, *shape: int) -> torch.Tensor:
    flat = normal(0, Stream.NOISE, torch.tensor([index]), int(torch.Size(shape).numel()))
    return flat.view(shape)


@pytest.mark.parametrize("biases", [None, 1, 2])
def test_written_out_equals_fused_with_gradients(biases):
    """Without a bias, with one for all pictures, and with one for each of both."""
    q, k, v = (draw(i, 2, 3, 12, 8).double().requires_grad_() for i in range(3))
    bias = draw(3, biases, 3, 12, 12).double().requires_grad_() if biases else None
    inputs = [x for x in (q, k, v, bias) if x is not None]
    ours, fused = attend(q, k, v, bias), F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    torch.testing.assert_close(ours, fused, rtol=1e-12, atol=1e-12)
    weight = draw(4, 2, 3, 12, 8).double()
    for a, b in zip(torch.autograd.grad((ours * weight).sum(), inputs),
                    torch.autograd.grad((fused * weight).sum(), inputs), strict=True):  # fmt: skip
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_the_type_is_that_of_the_values():
    q, k, v = (draw(i, 1, 2, 4, 8).bfloat16() for i in range(3))
    assert attend(q, k, v, draw(3, 1, 2, 4, 4)).dtype == torch.bfloat16


@pytest.mark.gpu
def test_cuda_agrees_with_cpu():
    q, k, v, bias = draw(0, 2, 3, 64, 32), draw(1, 2, 3, 64, 32), draw(2, 2, 3, 64, 32), draw(3, 1, 3, 64, 64)
    cuda = attend(q.cuda(), k.cuda(), v.cuda(), bias.cuda())
    torch.testing.assert_close(cuda.cpu(), attend(q, k, v, bias), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("variant", ["learned+rope2d", "alibi2d", "t5_bias", "none"])
@pytest.mark.parametrize("qk_norm", [False, True])
def test_weights_are_those_by_which_values_are_added(variant, qk_norm):
    config = ModelConfig(dim=16, depth=1, num_heads=2, qk_norm=qk_norm)
    shape = {"channels": 1, "image_size": (6, 8), "num_classes": 2, "null_class": True}
    model = DiT(config, variant, **shape).eval()
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_(draw(10 + i, *p.shape))
    layer, looked = model.blocks[0].attention, []
    layer.register_forward_hook(lambda layer, inputs, out: looked.append((inputs, out)))
    with torch.no_grad():
        model(draw(0, 3, 1, 6, 8), torch.tensor([0.1, 0.5, 0.9]), torch.tensor([0, 1, 2]))
        (inputs, out), = looked  # fmt: skip
        values = layer.qkv(inputs[0]).unflatten(-1, (3, 2, -1))[:, :, 2].transpose(1, 2)
        added = layer.weights(*inputs) @ values
        torch.testing.assert_close(layer.proj(added.transpose(1, 2).flatten(2)), out, rtol=1e-4, atol=1e-4)
