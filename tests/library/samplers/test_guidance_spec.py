"""Guidance as text: one text and one slug for one guidance, the old forms, and one line for each mistake."""

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rope_dit.errors import UserError
from rope_dit.guidance_spec import GuidanceSpec

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
    assert GuidanceSpec.parse(text) == GuidanceSpec()
    assert (str(GuidanceSpec.parse(text)), GuidanceSpec.parse(text).slug) == (NONE, "cfg1")


SIX_DIGITS = st.integers(0, 999_999).flatmap(lambda n: st.sampled_from([n * 10.0**-k for k in range(3, 12)]))
NUMBERS = SIX_DIGITS.map(lambda number: float(f"{number:g}"))


@given(NUMBERS, NUMBERS, NUMBERS)
def test_text_and_slug_survive_a_round_trip(weight, a, b):
    begin, end = sorted((min(a, 1.0), min(b, 1.0)))
    if begin < end:
        spec = GuidanceSpec(weight, begin, end)
        assert GuidanceSpec.parse(str(spec)) == spec
        assert GuidanceSpec.parse(spec.short) == spec
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,80}", spec.slug)


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
        ("cfg:wieght=3", "cfg: unknown option 'wieght'; its options are: begin, end, weight."),
        ("cfg:weight", "expected key=value"),
        ("cfg:weight=3,weight=4", "'weight' is given twice"),
        ("cgf:weight=3", "guidance got 'cgf:weight=3', expected cfg, as in cfg:weight=3."),
        *(
            (text, f"guidance got '{text}', expected cfg")
            for text in ("", "-", "x", "nan", "-1", "e", "...", "+3")
        ),
        *(
            (text, f"guidance got '{text}', expected cfg")
            for text in ("3-0.2", "3-0.2to", "3to0.9", "3-to0.9")
        ),
        *((text, f"guidance got '{text}', expected cfg") for text in ("1.2.3", "3e", "3-1e-to0.9", "\u0663")),
        ("3-0.9to0.2", "option 'end' got 0.2, expected a time after begin=0.9."),
        ("3-0.2to1.5", "option 'end' got 1.5, expected"),
        ("1001", "option 'weight' got 1001.0, expected"),
        ("1e999", "option 'weight' got inf, expected"),
    ],
)
def test_mistakes_are_named_in_one_line(text, message):
    with pytest.raises(UserError) as caught:
        GuidanceSpec.parse(text)
    assert message in str(caught.value)
    assert len(str(caught.value)) <= 200
    assert "\n" not in str(caught.value)


def test_parsing_imports_no_torch():
    code = (
        "import sys; from rope_dit.guidance_spec import GuidanceSpec as G; "
        "s = G.parse('cfg:weight=3'); str(s), s.slug; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
