"""Studies side by side: rankings, gains and their differences, where the truth is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from report_stores import definition, made_up, uri_of

from analysis import compare
from analysis.figures.examples.study import example
from analysis.judging.across import across, what
from analysis.judging.judge import judge
from analysis.page import across_words
from experiments.cli.main import main
from experiments.records.definition import ArmRecord
from rope_dit.errors import UserError

ARMS = ("learned", "none", "rope1d", "rope2d")


def study_of(name, data, gains, spread=1.0, noise=0.2, better="lower", floor=2.0, base=20.0, seeds=7, seed=0):
    """A study whose arms are better than its baseline by these gains, in the baseline's spreads."""
    arms = ("learned", *gains)
    study = example(arms, seeds, better).study
    rng = np.random.default_rng(seed)
    sign = 1 if better == "lower" else -1
    # deviations of exactly the mean 0 and the standard deviation 1, so that the truth is what is measured
    shared = rng.normal(size=seeds)
    shared = (shared - shared.mean()) / shared.std(ddof=1)
    own = {arm: rng.normal(size=seeds) * noise for arm in gains} | {"learned": np.zeros(seeds)}
    value = {
        (arm, i): sign * (base + spread * (shared[i] + own[arm][i] - own[arm].mean() - gains.get(arm, 0.0)))
        for arm in arms
        for i in range(seeds)
    }
    scores = study.scores.assign(
        value=[value[row.arm, row.seed] for row in study.scores.itertuples()], real_floor=sign * floor
    )
    return replace(study, scores=scores, definition=replace(study.definition, name=name, data=data))


HEDGES = 0.8686  # of six degrees of freedom
RISING = {"none": -1.0, "rope1d": 1.0, "rope2d": 2.0}
FALLING = {"none": 1.0, "rope1d": -1.0, "rope2d": -2.0}


def test_equal_rankings_have_tau_1_and_reversed_ones_minus_1():
    """Whatever the scores' direction and scale."""
    one = study_of("a", "digits", RISING)
    same = study_of("b", "layout", RISING, spread=0.01, better="higher", base=-0.5, floor=-0.9, seed=1)
    reverse = study_of("c", "cifar10", FALLING, seed=2)
    taus = across([one, same, reverse]).taus.set_index(["first", "second"])
    least = 2 * 0.025 ** (1 / 7) - 1
    assert taus.loc[("digits", "layout")].tolist() == [4, 1, pytest.approx(least), 1]
    assert taus.loc[("digits", "cifar10")].tolist() == [4, -1, -1, pytest.approx(-least)]


def test_without_an_interaction_gains_are_equal_and_intervals_hold_0():
    one, other = (
        study_of("a", "digits", RISING),
        study_of("b", "layout", RISING, spread=3.0, base=56.0, seed=1),
    )
    table = across([one, other]).interactions
    spreads = table[table["unit"] == "spread"]
    assert spreads["arm"].tolist() == ["none", "rope1d", "rope2d"]
    assert spreads["difference"].tolist() == pytest.approx([0, 0, 0], abs=1e-9)
    assert ((table["low"] < 0) & (table["high"] > 0)).all()
    assert spreads["first_gain"].tolist() == pytest.approx(
        [HEDGES * g for g in (-1, 1, 2)], abs=1e-3
    )  # Hedges


def test_a_planted_interaction_is_found_in_both_units():
    one = study_of("a", "digits", {**RISING, "rope2d": 9.0})
    other = study_of("b", "layout", {**RISING, "rope2d": -9.0}, seed=1)
    found = across([one, other])
    table = found.interactions
    sure = table[(table["low"] > 0) | (table["high"] < 0)]
    assert sure[["arm", "unit"]].values.tolist() == [["rope2d", "gap"], ["rope2d", "spread"]]
    assert sure["first_gain"].tolist() == pytest.approx([9 / 18, HEDGES * 9], abs=1e-3)
    said = across_words.interactions(found)
    assert said[0].startswith("rope2d gains more over learned on digits than on layout: 0.50 against -0.50")
    assert said[1].startswith("In shares of the distance from the real floor 1 of 3 intervals exclude 0")


def test_gaps_hold_the_error_of_the_baseline_s_distance():
    """A gain that is the same share in every seed, whatever the distance, has none."""
    study = study_of("a", "digits", {"rope2d": 0.0}, noise=0.0)
    half = {row.seed: (row.value + 2.0) / 2 for row in study.endpoint().itertuples() if row.arm == "learned"}
    values = [half[r.seed] if r.arm == "rope2d" else r.value for r in study.scores.itertuples()]
    found = across([replace(study, scores=study.scores.assign(value=values)), study_of("b", "x", RISING)])
    gain = found.sides[0].gain(what(ArmRecord("", "rope2d", {})), what(ArmRecord("", "learned", {})), "gap")
    assert gain.value == pytest.approx(0.5)
    assert gain.variance == pytest.approx(0, abs=1e-20)


def test_arms_are_matched_by_what_they_are_and_not_by_their_labels():
    one = study_of("a", "digits", {"mine": 1.0, "other": 2.0})
    specs = {"learned": "learned", "mine": "rope2d", "other": "none"}
    arms = tuple(ArmRecord(label, spec, {}) for label, spec in specs.items())
    one = replace(one, definition=replace(one.definition, arms=arms))
    other = study_of("b", "layout", {"rope2d": 1.0, "mine": 2.0}, seed=1)
    arms = tuple(
        ArmRecord(label, spec, {})
        for label, spec in {"learned": "learned", "rope2d": "rope2d:theta=100", "mine": "sincos2d"}.items()
    )
    other = replace(other, definition=replace(other.definition, arms=arms))
    found = across([one, other])
    assert [*found.names.values()] == ["learned", "mine", "other", what(arms[2])]  # a label that is taken
    both = found.arms[found.arms["arm"] == "mine"]
    assert both[["study", "label"]].values.tolist() == [["a", "mine"], ["b", "rope2d"]]
    assert found.interactions["arm"].unique().tolist() == ["mine"]


def test_settings_make_other_arms():
    same, other = (ArmRecord("x", "rope2d", {"train.lr": lr}) for lr in ("0.1", "0.2"))
    assert what(same) != what(other)
    assert what(same) == what(ArmRecord("y", "rope2d:theta=100", {"train.lr": "0.1"}))


def test_an_arm_that_stands_in_a_study_twice_is_left_out_and_said():
    one = study_of("a", "digits", {"rope2d": 1.0, "twin": 1.0})
    arms = tuple(ArmRecord(label, spec, {}) for label, spec in
                 {"learned": "learned", "rope2d": "rope2d", "twin": "rope2d"}.items())  # fmt: skip
    one = replace(one, definition=replace(one.definition, arms=arms))
    found = across([one, study_of("b", "layout", RISING)])
    assert found.left_out == ["twin of a is left out, as it is rope2d again."]
    assert "twin of a is left out" in compare.markdown(found)


def test_verdicts_and_differences_are_those_of_each_study():
    one, other = study_of("a", "digits", RISING), study_of("b", "layout", FALLING, better="higher", seed=1)
    arms = across([one, other]).arms.set_index(["arm", "study"])
    for study in (one, other):
        for c in judge(study):
            row = arms.loc[(c.arm, study.name)]
            assert row["verdict"] == c.verdict
            expected = [c.difference.value, c.difference.low, c.difference.high]
            assert row[["difference", "difference_low", "difference_high"]].tolist() == pytest.approx(
                expected
            )
    assert arms.loc[("rope2d", "a")]["verdict"] == "better"
    assert arms.loc[("rope2d", "b")]["verdict"] == "worse"
    assert arms.loc[("rope2d", "b")]["difference"] < 0  # in the endpoint's units, of which higher are better
    assert arms.loc[("learned", "a")]["against"] == ""


def test_an_unfinished_study_is_shown_and_nothing_is_concluded_from_it():
    other = study_of("b", "layout", RISING, seed=1)
    cells = other.cells.assign(state=["missing", *other.cells["state"][1:]])
    found = across([study_of("a", "digits", RISING), replace(other, cells=cells)])
    assert found.taus.empty
    assert found.interactions.empty
    assert found.arms["study"].tolist().count("b") == 4
    text = compare.markdown(found)
    assert "b: Partial: of 28 runs 1 is missing." in text
    assert "There are no two studies from which anything may be concluded." in text
    assert "No gain over learned can be set beside that of another study" in text


def test_nothing_is_concluded_from_a_study_in_which_no_arm_has_learned():
    """Small gains of untrained networks, as shares of a long way, would pass for equal ones."""
    one, other = study_of("a", "digits", RISING), study_of("b", "layout", RISING, seed=1)
    end = replace(other.definition.endpoint, learned=0.1)
    definition = replace(other.definition, endpoint=end)
    far = replace(other, definition=definition, scores=other.scores.assign(untrained=30.0))
    near = replace(far, scores=other.scores.assign(untrained=1e4))
    assert across([one, far]).taus.empty
    assert across([one, far]).interactions.empty
    assert len(across([one, near]).taus) == 1


def test_few_seeds_give_no_spread_and_a_floor_that_is_not_known_no_share():
    few = [study_of(name, name, RISING, seeds=3) for name in ("a", "b")]
    assert set(across(few).interactions["unit"]) == {"gap"}
    no_floor = [study_of(name, name, RISING, floor=math.nan) for name in ("a", "b")]
    assert across(no_floor).interactions.empty  # their margins are shares of the distance from it
    absolute = [replace(s, definition=replace(s.definition, margin_unit="absolute")) for s in no_floor]
    assert set(across(absolute).interactions["unit"]) == {"spread"}


def test_studies_of_one_data_set_are_called_by_their_names():
    found = across([study_of(name, "digits", RISING) for name in ("a", "b")])
    assert found.taus[["first", "second"]].values.tolist() == [["a", "b"]]


def test_one_study_and_the_same_twice_are_refused():
    one = study_of("a", "digits", RISING)
    with pytest.raises(UserError, match="STUDY got 'a', expected two studies or more"):
        across([one])
    with pytest.raises(UserError, match="expected each study once"):
        across([one, one])


@pytest.mark.parametrize(
    ("ranking", "says"),
    [((4, 1.0, 0.2, 1.0), "more alike than by chance."),
     ((4, -1.0, -1.0, -0.2), "more opposite than by chance."),
     ((4, 0.3, -0.3, 1.0), "which tells neither a common ranking nor an opposite one."),
     ((4, 1.0, math.nan, math.nan), "one seed gives no interval and no proof."),
     ((1, math.nan, math.nan, math.nan), "too few arms in common, 1, to be ranked.")],
)  # fmt: skip
def test_sentences_say_no_more_than_the_interval(ranking, says):
    found = across([study_of("a", "digits", RISING), study_of("b", "layout", RISING)])
    found.__dict__["taus"] = found.taus.assign(
        **dict(zip(["arms", "tau", "low", "high"], ranking, strict=True))
    )
    [said] = across_words.rankings(found)
    assert said.endswith(says)
    assert said.startswith("digits and layout ")


def test_files_of_each_kind(tmp_path):
    found = across([study_of("a", "digits", RISING), study_of("b", "layout", FALLING)])
    assert [p.name for p in compare.files(found, tmp_path / "x.csv")] == [
        "x.csv",
        "x-gains.csv",
        "x-rankings.csv",
    ]
    made = compare.files(found, tmp_path / "x.md")
    assert b"](x.png)" in made[tmp_path / "x.md"]
    assert made[tmp_path / "x.png"].startswith(b"\x89PNG")
    [page] = compare.files(found, tmp_path / "x.html").values()
    text = page.decode()
    assert "<svg" in text
    assert "src=" not in text
    assert "http" not in text.replace("http://www.w3.org", "").replace("http-equiv", "")
    assert "arXiv:2606.24888" in text


def test_two_studies_of_one_store_side_by_side(tmp_path, capsys, monkeypatch):
    """The command, over a store with files, as a user has it."""
    monkeypatch.chdir(tmp_path)
    place = {"learned": 0, "none": 1, "rope2d": 2}
    for name, sign in (("up", 1), ("down", -1)):
        wanted = definition({arm: arm for arm in place}, range(5))
        value = lambda arm, seed, sign=sign: 20 + 0.1 * seed**2 + sign * place[arm] * (1 + 0.01 * seed)  # noqa: E731
        made_up(tmp_path, wanted, value, name=name)
    with pytest.raises(SystemExit) as end:
        main(compare.command, ["up", "down", "--uri", uri_of(tmp_path), "--out", "both/x.html"])
    assert not end.value.code
    said = capsys.readouterr().out
    assert "- up: On digits and its split: none and rope2d are worse than learned." in said
    assert "- down: On digits and its split: none and rope2d are better than learned." in said
    assert "up and down rank their 3 common arms with Kendall's tau -1.00" in said
    assert said.endswith("written both/x.html\n")
    assert "none and rope2d are worse" in (tmp_path / "both/x.html").read_text()
