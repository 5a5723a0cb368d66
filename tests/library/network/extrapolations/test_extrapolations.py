"""What single extrapolations promise, and what each variant makes of them; the rest is in their contract."""

import math

import pytest
import torch
from contract_extrapolations import model, out
from measured_variants import built
from sites import site_of
from torch import Tensor

from rope_dit.config import ModelConfig
from rope_dit.errors import UserError
from rope_dit.extrapolations.base import Stretch
from rope_dit.extrapolations.compose import Able, Extrapolations
from rope_dit.model import DiT, draw
from rope_dit.pos_embed.base import Geometry, Site
from rope_dit.pos_embed.compose import build
from rope_dit.randomness import Stream
from rope_dit.registry import EXTRAPOLATIONS, POS_EMBEDS

TRAINED, LARGE = (4, 6), (8, 18)  # twice and three times as long
ALL = Able("rope2d", "index", coordinates=True, frequencies=True, grows=True)


def stretch(spec: str, grid=LARGE, trained=TRAINED, t: float = 0.0) -> Stretch:
    found = Extrapolations(spec, ALL).stretch(trained, grid, torch.full((2,), t))
    assert found is not None
    return found


def logits(variant: str, spec: str = "none", grid=LARGE, t: float = 0.0) -> Tensor:
    """Products of random queries and keys, [B, H, T, T], as the model has them."""
    geometry = Geometry(64, 2, 32, 2, TRAINED)
    pos = build(variant, geometry)
    with torch.no_grad():
        pos.init_weights(lambda name, shape: draw(0, Stream.VARIANT_WEIGHTS, name, shape))
    site = site_of(geometry, grid, torch.zeros(2, grid[0] * grid[1], 64), t=t)
    done = Extrapolations(spec, ALL).stretch(TRAINED, grid, site.t_B)
    if done is not None:
        rows, columns = pos.squeezed(done, site)
        site = Site(grid, rows, columns, 0, site.t_B, site.tokens_BTD, False, done)
    q, k = (draw(0, Stream.NOISE, n, (2, 2, grid[0] * grid[1], 32)).double() for n in "qk")
    q, k = pos.rotate(site, q, k)
    return (q * (1.0 if done is None else done.logits())) @ k.mT


def close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=0, atol=1e-5)


def test_ntk_is_a_larger_base():
    """theta * s^(d / (d - 2)), d = 16 channels an axis."""
    square = (8, 12)
    for variant in ("rope2d", "rope2d_learned"):
        larger = logits(f"{variant}:theta={100 * 2 ** (16 / 14)}", "none", square)
        assert close(logits(f"{variant}:theta=100", "ntk", square), larger)
    joint = 100 * 3 ** (16 / 14)  # the longer axis
    assert close(logits("rope2d", "ntk:axes=joint"), logits(f"rope2d:theta={joint}"))
    assert not close(logits("rope2d", "ntk"), logits("rope2d", "ntk:axes=joint"))
    line = 100 * 6 ** (32 / 30)
    assert close(logits("rope1d", "ntk"), logits(f"rope1d:theta={line}"))


@pytest.mark.parametrize("spec", ["ntk", "ntk:axes=joint", "yarn:alpha=0.1,beta=2", "pi", "ntk+dype"])
def test_directions_along_the_axes_are_stretched_as_the_axes_are(spec):
    directions = "rope2d_directions:directions=2,ladder=shared"
    assert close(logits(directions, spec, t=0.3), logits("rope2d", spec, t=0.3))


def test_each_axis_goes_by_its_own_stretch_or_both_by_the_larger():
    assert [stretch("ntk").by(axis) for axis in (0, 1, None)] == [2, 3, 6]
    assert [stretch("ntk:axes=joint").by(axis) for axis in (0, 1, None)] == [3, 3, 6]
    assert [stretch("ntk", (8, 3)).by(axis) for axis in (0, 1)] == [2, 1]


def test_yarn_by_hand():
    """On 6 columns a frequency of 1 turns 0.955 times; three times as long, beta 2 and alpha 0.5."""
    f = torch.tensor([2.5, 1.0, 0.1], dtype=torch.float64)
    g = (6 / (2 * math.pi) - 0.5) / 1.5
    expected = [1.0, (1 - g) / 3 + g, 1 / 3]
    got = stretch("yarn:alpha=0.5,beta=2").factor(1, f)
    assert got.tolist() == pytest.approx(expected, rel=1e-12)
    assert stretch("yarn").logits() == pytest.approx((0.1 * math.log(3) + 1) ** 2)
    assert stretch("yarn:temperature=false").logits() == 1


def test_yarn_scales_products_by_its_temperature():
    plain, sharp = logits("rope2d", "yarn:temperature=false"), logits("rope2d", "yarn")
    assert close(plain * (0.1 * math.log(3) + 1) ** 2, sharp)


def test_pi_of_a_whole_factor_is_the_trained_logits_between():
    """Every second token of an axis twice as long stands where a trained one stood."""
    for variant in ("rope2d", "rope2d_mixed", "rope2d_directions", "rope_spherical", "liere", "pope"):
        geometry = Geometry(64, 2, 32, 2, TRAINED)
        pos = build(variant, geometry)
        with torch.no_grad():
            pos.init_weights(lambda name, shape: draw(0, Stream.VARIANT_WEIGHTS, name, shape))
        site = site_of(geometry, (8, 12))
        rows, columns = pos.squeezed(stretch("pi", (8, 12)), site)
        every_second = (torch.arange(96).view(8, 12)[::2, ::2]).flatten()
        here = site_of(geometry)
        assert torch.equal(rows[every_second], here.rows), variant
        assert torch.equal(columns[every_second], here.columns), variant


@pytest.mark.parametrize("order", ["raster", "column", "hilbert"])
def test_pi_squeezes_the_line_of_tokens_of_those_who_number_them(order):
    pos = build(f"rope1d:order={order}", Geometry(64, 2, 32, 2, TRAINED))
    site = site_of(pos.geometry, LARGE)
    done = stretch("pi")
    rows, columns = pos.squeezed(done, site)
    stretched = Site(LARGE, rows, columns, 0, site.t_B, site.tokens_BTD, False, done)
    torch.testing.assert_close(pos.turns(stretched), pos.turns(site) / 6)


@pytest.mark.parametrize("base", ["pi", "ntk", "yarn:beta=4"])
@pytest.mark.parametrize(
    "variant", ["rope1d", "rope2d", "rope2d_learned", "rope2d_mixed", "rope_spherical", "pope"]
)
def test_dype_is_all_of_it_at_noise_and_nothing_at_data(variant, base):
    assert close(logits(variant, f"{base}+dype", t=0.0), logits(variant, base))
    assert close(logits(variant, f"{base}+dype", t=1.0), logits(variant))
    between = logits(variant, f"{base}+dype", t=0.5)
    assert not close(between, logits(variant, base))
    assert not close(between, logits(variant))


def test_dype_fades_ntk_as_a_smaller_stretch():
    """kappa = (1 - t)^2 = 1/4 at t = 1/2: s^(1/4)."""
    theta = 100 * (2**0.25) ** (16 / 14)
    assert close(logits("rope2d", "ntk+dype", (8, 12), t=0.5), logits(f"rope2d:theta={theta}", grid=(8, 12)))


def test_dype_goes_by_each_picture_s_time():
    share = Extrapolations("ntk+dype", ALL).stretch(TRAINED, LARGE, torch.tensor([0.0, 0.5]))
    assert share is not None
    assert share.share.flatten().tolist() == [1, 0.25]
    assert share.factor(0, torch.ones(3)).shape == (2, 1, 1, 3)


def test_attention_scale_by_hand():
    expected = math.sqrt(math.log(8 * 18) / math.log(4 * 6))
    assert close(logits("none", "attention_scale"), logits("none") * expected)


def test_a_model_of_every_variant_takes_or_refuses_each_and_makes_numbers():
    """No other error reaches a user, whatever the size."""
    taken, refused = set(), {}
    for entry in POS_EMBEDS:
        built(entry.name, Geometry(16, 2, 8, 2, (3, 4), ""))
        for spec in ("pi", "ntk", "yarn", "attention_scale", "ntk+dype", "pi+dype"):
            try:
                dit = model(spec, entry.name)
            except UserError as refusal:
                refused[entry.name, spec] = str(refusal)
                continue
            taken.add((entry.name, spec))
            for grid in ((6, 8), (5, 3), (2, 9)):
                assert out(dit, grid).isfinite().all(), (entry.name, spec, grid)
    assert all(len(text) <= 200 and name in text for (name, _), text in refused.items())
    rotary = {"rope1d", "rope2d", "rope2d_learned", "rope2d_mixed", "rope2d_directions", "rope_spherical"}
    rotary |= {"harope", "pope"}
    assert {name for name, spec in taken if spec == "ntk"} == rotary
    assert {name for name, spec in taken if spec == "attention_scale"} == set(POS_EMBEDS.names())
    assert not {name for name, spec in taken if spec == "pi"} & {"none", "learned"}


@pytest.mark.parametrize(
    ("spec", "able", "words"),
    [
        ("ntk", {"frequencies": False, "variant": "learned"}, "got the variant 'learned', which has none"),
        ("yarn", {"frequencies": False, "variant": "alibi2d"}, "acts on the frequencies of rotary variants"),
        ("pi", {"coordinates": False, "variant": "none"}, "got the variant 'none', which uses none"),
        (
            "pi",
            {"grows": False, "positions": "normalized"},
            "positions 'normalized' brings larger grids",
        ),
        (
            "pi",
            {"alike": False, "variant": "rope1d+sincos2d"},
            "line of tokens; got the variant 'rope1d+s",
        ),
        ("ntk", {"grows": False, "positions": "interpolate"}, "has nothing to do"),
        ("dype", {}, "dype fades another one; join it to pi, ntk or yarn"),
        ("attention_scale+dype", {}, "dype fades another one"),
        ("ntk+yarn", {}, "expected one of ntk and yarn"),
        ("ntk+none", {}, "expected one of"),
        ("yarn:alpha=3,beta=2", {}, "got '3 and 2', expected 0 <= alpha < beta"),
        ("yarn:alpha=-1", {}, "0 <= alpha < beta"),
        ("ntk+dype:power=0", {}, "'power' got 0"),
        ("ntk:axes=rows", {}, "one of separate, joint"),
        ("ntkk", {}, "Did you mean 'ntk'?"),
    ],
)
def test_refusals_are_one_line(spec, able, words):
    with pytest.raises(UserError) as caught:
        Extrapolations(spec, Able(**{**vars(ALL), **able}))
    assert words in str(caught.value)
    assert len(str(caught.value)) <= 200


@pytest.mark.parametrize("positions", ["normalized", "interpolate", "normalized:by=min"])
def test_a_model_whose_positions_do_not_grow_refuses(positions):
    config = ModelConfig(dim=16, depth=1, num_heads=2, patch=1, positions=positions)
    dit = DiT(config, "rope2d", channels=1, image_size=(3, 4), num_classes=2, null_class=False)
    for spec in ("pi", "ntk", "yarn"):
        with pytest.raises(UserError, match="has nothing to do"):
            dit.set_extrapolation(spec)
    dit.set_extrapolation("attention_scale")
    dit.set_extrapolation("none")


def test_every_item_is_tried_above():
    assert set(EXTRAPOLATIONS.names()) == {"attention_scale", "dype", "none", "ntk", "pi", "yarn"}


def test_parts_that_go_by_rows_and_by_the_line_of_tokens_are_not_squeezed_together():
    with pytest.raises(UserError, match="has parts that go by either"):
        model("pi", "rope1d+sincos2d")
    assert out(model("pi", "rope1d+sincos1d"), (5, 7)).isfinite().all()
