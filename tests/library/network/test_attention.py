"""Attention written out for CPUs is the attention that PyTorch fuses elsewhere."""

import pytest
import torch
from torch.nn import functional as F

from rope_dit.model import attend
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
