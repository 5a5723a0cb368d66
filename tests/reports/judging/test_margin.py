"""The margin in the endpoint's units, and what is said where nothing was learned."""

import math
import re
from dataclasses import replace

import pandas as pd
import pytest
import report_stores
from report_pages import store_fixture, texts, tiny_fixture  # noqa: F401
from report_stores import MADE_UP, definition, made_up, study_in

from analysis.figures.examples.study import example
from analysis.judging import margin
from analysis.judging.judge import judge
from analysis.page.words import headline
from analysis.study import Study


def study_of(means: dict[str, float], floor: float = 1.4, untrained: float = 60.0, **more: object) -> Study:
    """A finished study of three seeds whose arms have these means at every sampler and step."""
    better = str(more.pop("better", "lower"))
    study = example([*means], 3, better).study
    scores = study.scores.assign(real_floor=floor, untrained=untrained)
    spread = {arm: 0.01 * place for place, arm in enumerate(means, 1)}
    scores["value"] = [means[row.arm] + spread[row.arm] * (row.seed - 1) for row in scores.itertuples()]
    return replace(study, scores=scores, definition=replace(study.definition, **more))


@pytest.mark.parametrize(
    ("unit", "expected"), [("gap", 0.05 * (5.0 - 1.4)), ("absolute", 0.05), ("mean", 0.05 * 5.0)]
)
def test_a_margin_is_what_its_unit_says(unit, expected):
    study = study_of({"learned": 5.0, "rope2d": 4.0}, margin_unit=unit)
    assert margin.absolute(study, "learned") == pytest.approx(expected)
    assert [c.margin for c in judge(study)] == [pytest.approx(expected)]


def test_each_reference_has_a_margin_of_its_own():
    pairs = (("a", "learned"), ("learned", "b"), ("a", "b"))
    study = study_of({"learned": 5.0, "a": 4.0, "b": 3.0}, comparisons=pairs)
    found = judge(study)
    assert [(c.arm, c.reference) for c in found] == [*pairs]
    assert [c.margin for c in found] == pytest.approx([0.05 * 3.6, 0.05 * 1.6, 0.05 * 1.6])


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_what_remains_is_1_for_an_untrained_network_and_0_for_real_pictures(better):
    floor, untrained = (10.0, 50.0) if better == "lower" else (50.0, 10.0)
    way = untrained - floor
    means = {"a": untrained, "b": floor, "c": floor + way / 4, "d": floor - way / 4}
    study = study_of(means, floor, untrained, better=better)
    assert [margin.remaining(study, arm) for arm in means] == pytest.approx([1, 0, 0.25, -0.25])


@pytest.mark.parametrize(
    ("better", "floor", "untrained"),
    [("lower", 50.0, 10.0), ("higher", 10.0, 50.0), ("lower", 10.0, 10.0), ("lower", 10.0, float("nan"))],
)
def test_without_a_scale_nothing_is_said(better, floor, untrained):
    study = study_of({"a": 80.0, "b": 80.0}, floor, untrained, better=better)
    assert pd.isna(margin.remaining(study, "a"))
    assert margin.nothing_learned(study) == margin.too_far(study, "a") == ""


def test_an_arm_without_a_score_has_no_scale():
    study = study_of({"a": 20.0, "b": 20.0})
    bare = replace(study, scores=study.scores[study.scores["arm"] != "a"])
    assert pd.isna(margin.absolute(bare, "a"))
    assert pd.isna(margin.remaining(bare, "a"))
    assert margin.too_far(bare, "a") == ""
    assert margin.nothing_learned(replace(study, scores=study.scores.head(0))) == ""


def test_nothing_is_equivalent_to_an_arm_that_is_far_from_real_pictures():
    """Three arms at FD 23 with a floor of 1.4 and an untrained network at 60: 37 % of the way is left."""
    study = study_of({"learned": 23.0, "rope2d": 23.001, "none": 5.0})
    assert margin.nothing_learned(study) == ""
    assert margin.too_far(study, "learned") == (
        "learned is too far from real pictures for anything to be equivalent to it: of the way from an "
        "untrained network (FD (digits) 60.0) to real pictures (1.40) it has 37 % before it, and at most "
        "10 % counts as learned"
    )
    assert [c.verdict for c in judge(study)] == ["inconclusive", "better"]


def test_arms_that_have_learned_are_equivalent():
    study = study_of({"learned": 5.0, "rope2d": 5.001})
    assert margin.too_far(study, "learned") == ""
    assert [c.verdict for c in judge(study)] == ["equivalent"]


def test_where_no_arm_has_learned_that_is_said_and_nothing_else():
    study = study_of({"learned": 50.0, "rope2d": 35.0})
    said = (
        "No arm has learned anything: of the way from an untrained network (FD (digits) 60.0) to real "
        "pictures (1.40) the nearest arm, rope2d, has 57 % before it. Nothing is concluded."
    )
    assert margin.nothing_learned(study) == headline(study, judge(study)) == said
    assert judge(study) == []


def test_one_arm_that_has_learned_is_enough_to_compare():
    study = study_of({"learned": 50.0, "rope2d": 30.0})
    assert margin.nothing_learned(study) == ""
    assert [c.verdict for c in judge(study)] == ["better"]


def test_a_metric_that_does_not_say_what_was_learned_is_compared_as_ever():
    study = study_of({"learned": 50.0, "rope2d": 50.001})
    study = replace(study, definition=replace(study.definition, endpoint=unclaimed(study)))
    assert margin.nothing_learned(study) == margin.too_far(study, "learned") == ""
    assert [c.verdict for c in judge(study)] == ["equivalent"]


def test_a_share_of_a_distance_that_could_not_be_told_is_no_margin_and_gives_no_verdict():
    study = study_of({"learned": 5.0, "rope2d": 4.0}, floor=math.nan)
    assert judge(study) == []
    assert headline(study, []) == (
        "Withheld: the margin is a share of the distance from the real floor, and FD (digits) of real "
        "pictures could not be told (a study with --margin X --margin-unit absolute does without). Nothing "
        "is concluded from it."
    )
    assert margin.nothing_learned(study) == margin.too_far(study, "learned") == ""
    for unit in ("absolute", "mean"):
        known = replace(study, definition=replace(study.definition, margin_unit=unit))
        assert margin.withheld(known) == ""
        assert [c.verdict for c in judge(known)] == ["better"]


def test_a_study_without_floor_is_a_whole_report_without_nan(store, monkeypatch):
    monkeypatch.setattr(report_stores, "FLOOR", None)
    made_up(
        store, definition({"learned": "learned", "rope2d": "rope2d"}, range(3)), lambda arm, seed: 50.0 + seed
    )
    page, text = texts(store, MADE_UP)
    for said in (page.text, text.replace("\\", "")):
        assert "Withheld: the margin is a share of the distance from the real floor" in said
        assert "nan" not in re.findall(r"\w+", said)
    assert re.search(r"\| learned \| 3 of 3 \| [^|]+ \| \u2013 \|", text)


def unclaimed(study: Study):
    return replace(study.definition.endpoint, learned=None)


# Stores


def page_of_study(store, monkeypatch, untrained: float | None, **more: object):
    monkeypatch.setattr(report_stores, "UNTRAINED", untrained)
    wanted = replace(definition({"learned": "learned", "rope2d": "rope2d"}, range(3)), **more)
    made_up(store, wanted, lambda arm, seed: 50.0 + 0.01 * seed)
    return texts(store, MADE_UP)


def test_page_and_text_say_that_nothing_was_learned(store, monkeypatch):
    page, text = page_of_study(store, monkeypatch, 60.0)
    for said in (page.text, text.replace("\\", "")):
        assert said.count("No arm has learned anything: of the way from an untrained network") == 2
        assert "equivalent" not in said
        assert "Comparisons" not in said


def test_a_store_of_before_untrained_networks_were_scored_is_judged_as_it_was(store, monkeypatch):
    page, text = page_of_study(store, monkeypatch, None, margin=0.02, margin_unit="mean")
    assert study_in(store, MADE_UP).scores["untrained"].isna().all()
    assert "rope2d is equivalent to learned" in page.text
    assert "2 % of the baseline's mean" in page.text
    assert "margin 2 % of the baseline's mean" in text
