"""Guidance as text: one text and one slug for one guidance, the old forms, and one line for each mistake."""

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rope_dit.errors import UserError
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.registry import GUIDANCES, Entry, Option

NONE = "cfg:begin=0,end=1,weight=1"


@pytest.mark.parametrize(
    ("text", "canonical", "slug"),
    [
        ("cfg", NONE, "cfg1"),
        ("cfg:weight=3", "cfg:begin=0,end=1,weight=3", "cfg3"),
        ("cfg:weight=3,end=0.9,begin=0.2", "cfg:begin=0.2,end=0.9,weight=3", "cfg3-0.2to0.9"),
        (" cfg: weight = 1.50 , begin = 1e-5 ", "cfg:begin=1e-05,end=1,weight=1.5", "cfg1.5-1e-05to1"),
        ("cfg:weight=0", "cfg:begin=0,end=1,weight=0", "cfg0"),
        ("1", NONE, "cfg1"),
        ("3", "cfg:begin=0,end=1,weight=3", "cfg3"),
        ("0", "cfg:begin=0,end=1,weight=0", "cfg0"),
        ("2.5", "cfg:begin=0,end=1,weight=2.5", "cfg2.5"),
        ("3-0.2to0.9", "cfg:begin=0.2,end=0.9,weight=3", "cfg3-0.2to0.9"),
        ("1e-05", "cfg:begin=0,end=1,weight=1e-05", "cfg1e-05"),
        ("3-1e-05to0.9", "cfg:begin=1e-05,end=0.9,weight=3", "cfg3-1e-05to0.9"),
        ("1e-05-1e-06to1e-05", "cfg:begin=1e-06,end=1e-05,weight=1e-05", "cfg1e-05-1e-06to1e-05"),
        (" .5 ", "cfg:begin=0,end=1,weight=0.5", "cfg0.5"),
        ("1E+2", "cfg:begin=0,end=1,weight=100", "cfg100"),
    ],
)
def test_new_and_old_texts(text, canonical, slug):
    """The slug of an old text is `cfg` and that text, as files and metrics of the time were named."""
    spec = GuidanceSpec.parse(text)
    assert (str(spec), spec.slug) == (canonical, slug)
    assert GuidanceSpec.parse(str(spec)) == GuidanceSpec.parse(spec.short) == spec


@pytest.mark.parametrize(
    "text", ["cfg:weight=1,begin=0.2,end=0.9", "1-0.2to0.9", "cfg:end=0.5", "cfg:weight=1.0"]
)
def test_weight_1_has_no_interval(text):
    assert GuidanceSpec.parse(text) == GuidanceSpec.parse("cfg")
    assert GuidanceSpec.parse(text).is_off
    assert (str(GuidanceSpec.parse(text)), GuidanceSpec.parse(text).slug) == (NONE, "cfg1")


SIX_DIGITS = st.integers(0, 999_999).flatmap(lambda n: st.sampled_from([n * 10.0**-k for k in range(3, 12)]))
NUMBERS = SIX_DIGITS.map(lambda number: float(f"{number:g}"))


@given(NUMBERS, NUMBERS, NUMBERS)
def test_text_and_slug_survive_a_round_trip(weight, a, b):
    begin, end = sorted((min(a, 1.0), min(b, 1.0)))
    if begin < end:
        spec = GuidanceSpec.parse(f"cfg:weight={weight},begin={begin},end={end}")
        assert GuidanceSpec.parse(str(spec)) == spec
        assert GuidanceSpec.parse(spec.short) == spec
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,80}", spec.slug)
        interval = "" if (begin, end) == (0, 1) or weight == 1 else f"-{begin:g}to{end:g}"
        assert spec.slug == f"cfg{weight:g}{interval}"  # as earlier versions named files and metrics


WRONG = ("", "-", "-1", "...", "+3", "1.2.3", "3e", "3-0.2", "3-0.2to", "3to0.9", "3-to0.9", "3-1e-to0.9")
WRONG += ("\u0663", "1_0", ":weight=3", "cfg+cfg")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cfg:weight=x", "cfg: option 'weight' got 'x', expected a finite number (default 1)."),
        ("cfg:weight=nan", "cfg: option 'weight' got 'nan', expected a finite number (default 1)."),
        ("cfg:weight=inf", "option 'weight' got 'inf', expected a finite number"),
        ("cfg:weight=1e999", "option 'weight' got '1e999', expected a finite number"),
        ("cfg:weight=1_0", "option 'weight' got '1_0', expected"),
        ("cfg:begin=nan,weight=3", "option 'begin' got 'nan', expected a finite number (default 0)."),
        (
            "cfg:weight=-1",
            "cfg: option 'weight' got -1.0, expected a number from 0 to 1000 with at most 6 digits.",
        ),
        ("cfg:weight=1001", "got 1001.0, expected a number from 0 to 1000"),
        ("cfg:weight=1.2345678", "got 1.2345678, expected a number from 0 to 1000 with at most 6 digits"),
        ("cfg:weight=3,begin=-0.1", "option 'begin' got -0.1, expected a number from 0 to 1 with"),
        ("cfg:weight=3,end=1.5", "option 'end' got 1.5, expected a number from 0 to 1 with"),
        ("cfg:weight=3,begin=0.12345678", "option 'begin' got 0.12345678, expected"),
        ("cfg:weight=3,begin=0.9,end=0.2", "cfg: option 'end' got 0.2, expected a time after begin=0.9."),
        ("cfg:weight=3,begin=0.5,end=0.5", "option 'end' got 0.5, expected a time after begin=0.5."),
        (
            "autoguidance:weight=-1",
            "autoguidance: option 'weight' got -1.0, expected a number from 0 to 1000",
        ),
        (
            "autoguidance:weight=2,begin=0.9,end=0.2",
            "autoguidance: option 'end' got 0.2, expected a time after",
        ),
        ("autoguidance:weight=2,end=2", "autoguidance: option 'end' got 2.0, expected a number from 0 to 1"),
        ("autoguidance:weight=2,weak=0.9", "option 'weak' got '0.9', expected letters, digits and '_'"),
        ("cfg_zero:weight=1001", "cfg_zero: option 'weight' got 1001.0, expected a number from 0 to 1000"),
        ("cfg_zero:weight=3,zero=-0.1", "cfg_zero: option 'zero' got -0.1, expected a number from 0 to 1"),
        ("cfg_zero:weight=3,zero=1.2345678", "option 'zero' got 1.2345678, expected a number from 0 to 1"),
        ("cfg_zero:weight=3,begin=0.1", "cfg_zero: unknown option 'begin'; its options are: weight, zero."),
        ("cfg:wieght=3", "cfg: unknown option 'wieght'; its options are: begin, end, weight."),
        ("cfg:weight", "expected key=value"),
        ("cfg:weight=3,weight=4", "'weight' is given twice"),
        ("cgf:weight=3", "unknown guidance 'cgf'. Did you mean 'cfg'? `--list guidances` shows all."),
        *((text, f"unknown guidance '{text}'.") for text in ("x", "nan", "e")),
        *((text, f"guidance got '{text}', expected a spec such as cfg:weight=3, or a") for text in WRONG),
        ("3-0.9to0.2", "option 'end' got 0.2, expected a time after begin=0.9."),
        ("3-0.2to1.5", "option 'end' got 1.5, expected"),
        ("1001", "option 'weight' got 1001.0, expected"),
        ("1e999", "option 'weight' got 'inf', expected a finite number"),
    ],
)
def test_mistakes_are_named_in_one_line(text, message):
    with pytest.raises(UserError) as caught:
        GuidanceSpec.parse(text).build()
    assert message in str(caught.value)
    assert len(str(caught.value)) <= 200
    assert "\n" not in str(caught.value)


def test_what_a_guidance_costs_is_read_from_its_claims():
    """`cfg` with weight 1 is none, and needs no null class either."""
    costs = {text: GuidanceSpec.parse(text) for text in ("1", "0", "3-0.2to0.9", "cfg:begin=0.5")}
    assert [spec.evals for spec in costs.values()] == [1, 2, 2, 1]
    assert [spec.needs_null_class for spec in costs.values()] == [False, True, True, False]
    assert [spec.is_off for spec in costs.values()] == [True, False, False, True]


@pytest.fixture
def others(monkeypatch, tmp_path):
    """A guidance whose name could be taken for cfg with a weight, and one with an option added later."""
    strength = {"strength": Option("strength", float, 2.0, neutral=0.5)}
    for entry in (
        Entry("cfg2", tmp_path, "", {"bend": Option("bend", int, 1)}, {"evals": 3}),
        Entry("other", tmp_path, "", strength, {"needs_null_class": True, "off": {"strength": 0.0}}),
    ):
        monkeypatch.setitem(GUIDANCES.entries(), entry.name, entry)


@pytest.mark.usefixtures("others")
def test_others_have_the_slug_of_a_registry():
    texts = ("other", "other:strength=3", "cfg2", "cfg2:bend=2", "cfg:weight=2")
    told = [GuidanceSpec.parse(text) for text in texts]
    assert [spec.slug for spec in told] == ["other", "other-strength3", "_cfg2", "_cfg2-bend2", "cfg2"]
    assert [spec.short for spec in told] == ["other", "other-strength3", "_cfg2", "_cfg2-bend2", "2"]
    assert [spec.evals for spec in told] == [1, 1, 3, 3, 2]
    assert [spec.needs_null_class for spec in told] == [True, True, False, False, True]


@pytest.mark.usefixtures("others")
def test_options_that_a_record_lacks_are_neutral():
    assert str(GuidanceSpec.parse("other")) == "other:strength=2"
    assert str(GuidanceSpec.parse("other", stored=True)) == "other:strength=0.5"
    assert GuidanceSpec.parse("other:strength=0").is_off


def test_parsing_imports_no_torch():
    code = (
        "import sys; from rope_dit.guidance.spec import GuidanceSpec as G; "
        "s = G.parse('cfg:weight=3'); str(s), s.slug, s.evals; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_which_weights_a_guidance_asks():
    texts = ("cfg:weight=3", "autoguidance", "autoguidance:weight=2", "autoguidance:weight=2,weak=0_9")
    assert [GuidanceSpec.parse(text).weak for text in texts] == ["", "", "raw", "0_9"]
