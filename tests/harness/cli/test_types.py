"""Values are of the types that settings say, or refused: those from JSON, and those of a user's own file."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from studies import ODD, swapped

from experiments.cli.types import check_types, fitted
from experiments.config.identity import read_settings
from experiments.config.presets import PRESETS
from experiments.config.study import StudyConfig, study
from experiments.config.text import from_json, to_json
from experiments.config.tuning import TuneConfig
from rope_dit.errors import UserError


@pytest.mark.parametrize("odd", ODD, ids=str)
@pytest.mark.parametrize(
    ("read", "whole"),
    [
        (read_settings, to_json(replace(PRESETS["smoke"], out=Path("x"), study="s"))),
        (lambda saved: from_json(StudyConfig, saved), to_json(study("smoke", variants=("none", "rope2d")))),
    ],
    ids=["run", "study"],
)
def test_saved_settings_with_one_thing_changed_are_read_or_refused(read, whole, odd):
    for saved in swapped(whole, odd):
        try:
            found = read(saved)
        except UserError:
            continue
        check_types(found)
        read_back = to_json(found)
        for name in {"seed", "seeds", "name"} & read_back.keys() & saved.keys():
            assert read_back[name] == saved[name]


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (int, [0, -5, 10**18], ["5", 5.0, True, None, [5]]),
        (float, [1, 0.5, -1e300], ["1", float("nan"), float("inf"), 10**400, True, None]),
        (bool, [True, False], [0, 1, "true", None]),
        (str, ["", "a"], [5, None, b"a", ["a"]]),
        (Path, [Path("a")], [5, None, ["a"]]),
        (Path | None, [Path("a"), None], [5]),
        (tuple[str, ...], [(), ("a", "b")], ["ab", 5, None, ("a", 1), {"a": 1}]),
        (tuple[str, int], [("a", 1)], [("a",), ("a", "b"), ("a", 1, 2)]),
        (Literal["on", "off"], ["on"], ["maybe", True, None, ["on"]]),
        (dict[str, str], [{}, {"a": "b"}], [[], {"a": 1}, {1: "a"}]),
        (TuneConfig, [TuneConfig()], [{}, None, study("smoke")]),
        (Any, [None, 5, [1]], []),
    ],
    ids=str,
)
def test_values_are_of_their_type(hint, good, bad):
    assert [fitted("x", value, hint) for value in good] == good
    for value in bad:
        with pytest.raises(UserError, match=r"^x got .*, expected "):
            fitted("x", value, hint)


def test_lists_and_texts_of_json_become_tuples_and_paths():
    assert fitted("x", [["a", 1], ["b", 2]], tuple[tuple[str, int], ...]) == (("a", 1), ("b", 2))
    assert fitted("x", "a/b", Path | None) == Path("a/b")


def test_a_wrong_type_deep_inside_is_named():
    with pytest.raises(UserError, match=r"^tune\.trials got 4\.5, expected a whole number"):
        check_types(replace(study("smoke"), tune=TuneConfig(trials=4.5)))


@pytest.mark.parametrize("saved", [None, [], [1], 7, "x", True])
def test_json_that_is_no_object_is_refused(saved):
    with pytest.raises(UserError, match="the saved settings are damaged"):
        read_settings(saved)
