"""Variants against timm's independent versions, slow to import: their laws stand elsewhere too."""

import pytest
import torch
from measured_variants import DEPTH, DIM, HEADS, make
from sites import site_of

pytestmark = pytest.mark.slow


def test_relative_bias_is_that_of_swin():
    from timm.layers import RelPosBias

    pos, theirs = make("relative_bias", (3, 4)), RelPosBias((3, 4), HEADS)
    q = torch.zeros(1, HEADS, 12, DIM // HEADS)
    for layer in range(DEPTH):
        flipped = dict(pos.named_parameters())["table_LHyx"].detach()[layer].flip(1, 2)  # key to query
        with torch.no_grad():
            theirs.relative_position_bias_table.copy_(flipped.flatten(1).T)
            got = pos.bias(site_of(pos.geometry, layer=layer), q, q)
            torch.testing.assert_close(got, theirs.get_bias(), rtol=0, atol=1e-6)


def test_decomposed_relative_key_is_that_of_sam_but_for_the_scale():
    from timm.models.vision_transformer_sam import get_decomposed_rel_pos_bias

    pos = make("relative_key:decomposed=true", (3, 4))
    rows, columns = (p.detach()[1].flip(1).T for p in pos.parameters())  # they count from key to query
    q = torch.randn(2, HEADS, 12, DIM // HEADS, generator=torch.Generator().manual_seed(0))
    theirs = get_decomposed_rel_pos_bias(q.flatten(0, 1), rows, columns, (3, 4), (3, 4))
    site = site_of(pos.geometry, None, torch.zeros(2, 12, DIM), layer=1)
    ours = pos.bias(site, q, q).detach().flatten(0, 1) * (DIM // HEADS) ** 0.5
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_sincos2d_has_sines_and_cosines_of_an_axis_side_by_side():
    from timm.layers import build_sincos2d_pos_embed

    pos, x = make("sincos2d"), torch.zeros(1, 35, DIM)
    ours = pos.add(site_of(pos.geometry, None, x), x)[0]
    as_theirs = ours.unflatten(1, (2, 2, -1)).transpose(1, 2).flatten(1)  # all sines, then all cosines
    theirs = build_sincos2d_pos_embed([5, 7], DIM, temperature=10000.0)
    torch.testing.assert_close(as_theirs, theirs, rtol=0, atol=1e-5)


def test_conv_is_the_peg_of_twins_with_no_bias():
    from timm.models.twins import PosConv

    pos, theirs = make("conv"), PosConv(DIM, DIM)
    x = torch.randn(2, 35, DIM, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs.proj[0].weight.copy_(next(pos.parameters())[0])
        theirs.proj[0].bias.zero_()
        got = pos.add(site_of(pos.geometry, None, x), x)
        torch.testing.assert_close(got, theirs(x, (5, 7)), rtol=0, atol=1e-5)
