"""What rotary variants refuse, when they are built, in one line that says what to do."""

import pytest

from rope_dit.errors import UserError
from rope_dit.pos_embed.base import Geometry
from rope_dit.pos_embed.compose import build

ROTARY = ["rope1d", "rope2d", "rope2d_directions", "rope2d_learned", "rope2d_mixed", "rope_spherical"]
ROTARY += ["harope", "liere", "pope"]


def geometry(head_dim: int = 16, positions: str = "index") -> Geometry:
    return Geometry(4 * head_dim, 4, head_dim, 2, (5, 7), positions)


def refusal(spec: str, of: Geometry) -> str:
    with pytest.raises(UserError) as caught:
        build(spec, of)
    assert len(str(caught.value)) <= 200
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("variant", ROTARY)
@pytest.mark.parametrize("theta", ["0", "-1"])
def test_a_base_that_is_none(variant, theta):
    assert "'theta' got" in refusal(f"{variant}:theta={theta}", geometry())


@pytest.mark.parametrize(
    ("spec", "head_dim", "words"),
    [
        ("rope2d", 6, "divisible by 4 (channels turn in pairs); got 6"),
        ("rope2d_learned", 6, "rope2d_learned needs a head width divisible by 4"),
        ("rope2d_mixed", 6, "rope2d_mixed needs a head width divisible by 4"),
        ("harope", 6, "harope needs a head width divisible by 4"),
        ("rope2d_directions", 12, "rope2d_directions needs a head width divisible by 8"),
        ("rope2d_directions:directions=3", 16, "divisible by 6"),
        ("rope1d", 3, "even head width"),
        ("pope", 5, "pope needs an even head width"),
        ("rope_spherical", 2, "head width of 3 or more"),
        ("liere", 6, "needs a head width divisible by 4"),
        ("liere:block=8", 12, "needs a head width divisible by 8"),
        ("liere:form=comrope", 12, "needs a head width divisible by 8"),
        ("liere:block=2", 6, "needs a head width divisible by 4"),
    ],
)
def test_a_head_width_that_does_not_fit(spec, head_dim, words):
    assert words in refusal(spec, geometry(head_dim))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("rope2d:fraction=0", "'fraction' got 0"),
        ("rope2d:fraction=1.5", "'fraction' got 1.5"),
        ("rope2d:fraction=-0.5", "'fraction' got -0.5"),
        ("rope2d:fraction=0.3", "a multiple of 4 channels of 16, such as 0.25"),
        ("rope1d:fraction=0.1", "a multiple of 2 channels of 16, such as 0.125"),
        ("rope2d:pairing=thirds", "one of half, interleaved"),
        ("rope1d:order=spiral", "one of raster, column, hilbert"),
        ("rope2d:min_period=1", "'frequencies' got 'theta', expected dinov3"),
        ("rope2d:frequencies=dinov3,min_period=5,max_period=2", "0 < min_period < max_period"),
        ("rope2d:frequencies=dinov3,max_period=2", "0 < min_period < max_period"),
        ("rope2d:frequencies=dinov3,min_period=1,max_period=2,theta=5", "'theta' got 5"),
        ("rope2d:frequencies=kdiffusion,theta=5", "100 with frequencies=kdiffusion"),
        ("rope2d:frequencies=kdiffusion", "model.positions got 'index', expected normalized"),
        ("rope2d:frequencies=dinov3", "model.positions got 'index', expected normalized"),
        ("rope2d_directions:directions=1", "'directions' got 1, expected 2 or more"),
        ("liere:block=0", "'block' got 0, expected 2 or a multiple of 4"),
        ("liere:block=-4", "'block' got -4"),
        ("liere:block=6", "'block' got 6"),
        ("liere:block=2,form=string", "'block' got 2, expected 4 or more with form=string"),
    ],
)
def test_an_option_out_of_range(spec, words):
    assert words in refusal(spec, geometry())


@pytest.mark.parametrize(
    ("spec", "positions", "words"),
    [
        ("rope1d", "jitter", "expected positions whose steps"),
        ("rope1d:order=column", "normalized", "expected positions whose steps"),
        ("rope1d:order=hilbert", "centered", "order=hilbert counts places"),
        ("rope1d:order=hilbert", "shift", "order=hilbert counts places"),
        ("rope2d:frequencies=kdiffusion", "centered+shift", "expected normalized"),
    ],
)
def test_positions_that_a_variant_cannot_use(spec, positions, words):
    assert words in refusal(spec, geometry(positions=positions))


@pytest.mark.parametrize("variant", ROTARY[1:])
def test_two_rotary_parts(variant):
    names = " and ".join(sorted(["rope1d", variant]))
    assert f"may rotate queries and keys once; got {names}" in refusal(f"rope1d+{variant}", geometry())
    build(f"learned+{variant}", geometry())
