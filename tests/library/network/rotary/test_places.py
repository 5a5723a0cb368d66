"""Rotary variants where pictures have places of their own, and beside registers."""

import pytest
import torch
from measured_variants import make, noise
from sites import site_of

from rope_dit.config import ModelConfig
from rope_dit.errors import UserError
from rope_dit.model import DiT, draw
from rope_dit.pos_embed.base import PosEmbed
from rope_dit.positions.coordinates import Coordinates
from rope_dit.randomness import Stream, uniform
from rope_dit.registry import POS_EMBEDS

ROTARY = [name for name in POS_EMBEDS.names() if "values" in POS_EMBEDS[name].options]
MOVED = ["shift", "jitter+centered", "rescale", "random", "normalized:by=max+shift"]


def test_all_rotary_variants_can_turn_values():
    found = {name for name in POS_EMBEDS.names() if getattr(POS_EMBEDS.load(name), "turned", None)}
    assert found == {*ROTARY, "shuffled"}
    assert len(ROTARY) == 9


@pytest.mark.parametrize("positions", MOVED)
@pytest.mark.parametrize("variant", ROTARY)
@torch.no_grad()
def test_each_picture_turns_by_its_own_places(variant, positions):
    spec = f"{variant}:values=true"
    if variant == "rope1d" and positions in ("jitter+centered", "random"):
        with pytest.raises(UserError, match="equally long"):
            make(spec, positions=positions)
        return
    pos = make(spec, positions=positions)
    coordinates = Coordinates(positions, (5, 7))
    moves_BN = uniform(0, Stream.POSITION, torch.arange(3), coordinates.num_moves((5, 7)))
    geometry, (q, k, v) = pos.geometry, noise(3, 3, 4, 35, 8)

    def hooks(pos: PosEmbed, rows: slice) -> list[torch.Tensor]:
        tokens = torch.zeros(len(moves_BN[rows]), 35, geometry.dim)
        here = site_of(geometry, None, tokens, moves_BN=moves_BN[rows])
        return [*pos.rotate(here, q[rows], k[rows]), pos.output(here, pos.value(here, v[rows]))]

    together, alone = hooks(pos, slice(None)), hooks(pos, slice(1, 2))
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a[1:2], b, rtol=0, atol=1e-12)
    still = pos.rotate(site_of(geometry, None, torch.zeros(3, 35, geometry.dim)), q, k)[0]
    assert (together[0] - still).abs().max() > 1e-3


@pytest.mark.parametrize("variant", ROTARY)
@torch.no_grad()
def test_registers_are_not_turned_and_see_all(variant):
    """Networks with registers make numbers that depend on them, with values that turn too."""
    config, spec = ModelConfig(dim=16, depth=2, num_heads=2, patch=1, registers=2), f"{variant}:values=true"
    dit = DiT(config, spec, channels=1, image_size=(3, 4), num_classes=2, null_class=False)
    dit.init_weights(0)
    for name, p in dit.named_parameters():
        p += 0.3 * draw(1, Stream.NOISE, name, tuple(p.shape))
    inputs = noise(2, 1, 3, 4).float(), torch.tensor([0.1, 0.6]), torch.tensor([0, 1])
    before = dit(*inputs)
    assert before.isfinite().all()
    assert dit.registers is not None
    dit.registers[:, 0] += 3
    assert (dit(*inputs) - before).abs().max() > 1e-3
