"""Specs as text: grammar, values, canonical forms."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rope_dit.errors import UserError
from rope_dit.registry import POS_EMBEDS, Option, Part, show, slug
from rope_dit.registry.specs import FreeText, NumberList


def test_part_grammar():
    part = Part.parse(" heun:steps=25 , grid = shifted ")
    assert part == Part("heun", (("grid", "shifted"), ("steps", "25")))
    assert str(part) == "heun:grid=shifted,steps=25"
    assert str(Part.parse("none")) == "none"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "got the name ''"),
        (" ", "got the name ''"),
        (":theta=1", "got the name ''"),
        ("2d", "got the name '2d'"),
        ("rope 2d", "got the name 'rope 2d'"),
        ("../rope2d", "got the name"),
        ("rope2d:", "expected key=value"),
        ("rope2d:theta", "got 'theta', expected key=value"),
        ("rope2d:theta=", "got 'theta=', expected key=value"),
        ("rope2d:=1", "got '=1', expected key=value"),
        ("rope2d:theta=1,", "got '', expected key=value"),
        ("rope2d:theta=1,theta=2", "'theta' is given twice"),
        ("\uff52ope2d", "got the name"),
        ("rope2d\n", "unknown"),
    ],
)
def test_bad_parts_are_refused(text, words):
    if words == "unknown":
        assert Part.parse(text) == Part("rope2d")  # white space around a part means nothing
        return
    with pytest.raises(UserError) as caught:
        Part.parse(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "canonical"),
    [
        ("none", "none"),
        ("rope2d", "rope2d:theta=100"),
        ("rope2d:theta=100.0", "rope2d:theta=100"),
        ("rope2d:theta=1e2", "rope2d:theta=100"),
        ("rope2d:theta=1e22", "rope2d:theta=1e22"),
        ("rope2d:theta=.5", "rope2d:theta=0.5"),
        ("rope2d:theta=00020.", "rope2d:theta=20"),
        ("rope2d:theta=1e-7", "rope2d:theta=1e-07"),
        ("rope2d+learned", "learned:std=0.02+rope2d:theta=100"),
        ("learned + rope2d:theta=5", "learned:std=0.02+rope2d:theta=5"),
    ],
)
def test_canonical(spec, canonical):
    assert POS_EMBEDS.canonical(spec) == canonical
    assert POS_EMBEDS.canonical(canonical) == canonical


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_survives_its_canonical_form(value):
    text = show(value)
    assert "+" not in text
    assert Option("x", float, 0.0).convert(text, "test") == value


FULL_WIDTH_10 = "\uff11\uff10"


@pytest.mark.parametrize(
    "text", ["nan", "inf", "-inf", "1e999", "1_0", FULL_WIDTH_10, "ten", "1e", "0x1p4", "1,0", "true", "--1"]
)
def test_bad_floats_are_refused(text):
    with pytest.raises(
        UserError, match=r"^rope2d: option 'theta' got '.*', expected a finite number \(default 100\)"
    ):
        Option("theta", float, 100.0).convert(text, "rope2d")


@pytest.mark.parametrize(
    "text", ["1.0", "1e3", "nan", "1_0", FULL_WIDTH_10, "\u0663", "", " 1", "0b1", "9" * 5000]
)
def test_bad_integers_are_refused(text):
    with pytest.raises(UserError, match=r"expected a whole number \(default 50\)"):
        Option("steps", int, 50).convert(text, "heun")


@pytest.mark.parametrize("text", ["True", "1", "0", "yes", "", "FALSE"])
def test_bad_booleans_are_refused(text):
    with pytest.raises(UserError, match=r"expected true or false \(default true\)"):
        Option("on", bool, True).convert(text, "x")


@pytest.mark.parametrize("text", ["a-b", "a/b", "a.b", "\u00e9", "a b", "a=b", ""])
def test_bad_words_are_refused(text):
    with pytest.raises(UserError, match="expected letters, digits and '_'"):
        Option("grid", str, "uniform").convert(text, "x")


@pytest.mark.parametrize("text", ["host:6379", "/a/b-c.d", "me@lab", "[::1]:80", ""])
def test_free_text_is_what_the_grammar_can_hold(text):
    found = Option("x", FreeText, "").convert(text, "x")
    assert (found, type(found)) == (text, str)  # some libraries take no other kind of text


@pytest.mark.parametrize("text", ["a b", "a,b", "a;b", "a+b", "a=b", "a\tb"])
def test_free_text_with_characters_of_the_grammar_is_refused(text):
    with pytest.raises(UserError, match=r"expected a text without white space .* \(default none\)"):
        Option("x", FreeText, "").convert(text, "x")


def test_good_values_get_their_type():
    assert Option("on", bool, True).convert("false", "x") is False
    assert Option("n", int, 1).convert("-007", "x") == -7
    assert Option("x", float, 1.0).convert("3", "x") == 3.0
    assert isinstance(Option("x", float, 1.0).convert("3", "x"), float)
    assert Option("word", str, "a").convert("logit_normal", "x") == "logit_normal"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_a_list_of_numbers_survives_its_text(numbers):
    option = Option("times", NumberList, (0.0, 1.0))
    assert option.convert(show(tuple(numbers)), "grid") == tuple(numbers)


@pytest.mark.parametrize(
    "text", ["", "/", "0/", "/1", "0//1", "0/a", "0,1", "0/1e999", "0/nan", "0/ 1", "(0, 1)"]
)
def test_what_is_no_list_of_numbers_is_refused(text):
    with pytest.raises(UserError, match=r"expected numbers joined by '/', as in 0/0.5/1 \(default 0/1\)"):
        Option("times", NumberList, (0.0, 1.0)).convert(text, "grid")


def test_names_of_different_lists_differ_and_stay_short():
    lists = [
        "0/1",
        "0/0.1/1",
        "0.1",
        "/".join(["0.125"] * 9),
        "/".join(["0.125"] * 10),
        "/".join(["0.126"] * 9),
    ]
    slugs = [slug("custom", {"times": text}) for text in lists]
    assert len(set(slugs)) == len(lists)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,40}", name) for name in slugs)
