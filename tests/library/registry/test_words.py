"""What messages are put together from."""

import pytest

from rope_dit.words import differing, listed


@pytest.mark.parametrize(
    ("words", "text"), [("", ""), ("a", "a"), ("ab", "a and b"), ("abcd", "a, b, c and d")]
)
def test_words_in_a_row(words, text):
    assert listed(words) == listed(iter(words)) == text


def test_equal_mappings_differ_in_nothing():
    assert differing({}, {}) == differing({"b": 1, "a": 2}, {"a": 2, "b": 1}) == []


def test_each_key_that_differs_has_a_line_in_order():
    there, now = {"seed": "0", "same": "x", "old": "1"}, {"same": "x", "seed": "1", "flip": "True"}
    assert differing(there, now) == ["flip: there -, now True", "old: there 1, now -", "seed: there 0, now 1"]
    assert differing(there, now, ("checkpoint", "here"))[0] == "flip: checkpoint -, here True"


def test_a_key_that_one_lacks_differs_from_one_that_says_nothing():
    assert differing({"study": "-"}, {}) == ["study: there -, now -"]
