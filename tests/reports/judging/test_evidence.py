"""What a study measured of spatial consistency: planted differences are found, and no others."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from analysis.figures.examples.evidence import example_evidence
from analysis.figures.examples.study import example
from analysis.judging.evidence import called, evidence, loss_by_t, may_conclude, networks, subjects
from analysis.study import Study
from experiments.records.definition import ArmRecord

KEYS = ["metric", "tokens", "extrapolation"]


@pytest.fixture(scope="module")
def study() -> Study:
    return example_evidence().study


def with_scores(study: Study, scores: pd.DataFrame) -> Study:
    return replace(study, scores=scores.reset_index(drop=True))


def sides(study: Study) -> dict[tuple[str, str, str], str]:
    found = called(evidence(study), "rope2d", "learned")
    return dict(zip(zip(*(found[key] for key in KEYS), strict=True), found["side"], strict=True))


def test_planted_differences_are_found_and_none_where_there_is_none(study):
    found = sides(study)
    assert found["layout_accuracy", "trained", "none"] == "above"
    assert found["layout_accuracy", "12x12", "pi"] == "above"
    assert found["seam", "trained", "none"] == "below"
    assert found["shift_error_border", "trained", "none"] == "below"  # higher, that is
    assert found["held_out_loss", "trained", "none"] == "open"


def test_differences_are_those_of_paired_t_by_hand(study):
    found, values = evidence(study), networks(study)
    own = values[(values["metric"] == "layout_accuracy") & (values["tokens"] == "trained")]
    wide = own.pivot_table(index="seed", columns="arm", values="value")
    apart = wide["rope2d"] - wide["learned"]
    half = scipy_stats.t.ppf(0.975, len(apart) - 1) * apart.std(ddof=1) / len(apart) ** 0.5
    [row] = found[(found["metric"] == "layout_accuracy") & (found["tokens"] == "trained")
                  & (found["arm"] == "rope2d")].to_dict("records")  # fmt: skip
    assert (row["pairs"], row["paired"], row["reference"]) == (4, True, "learned")
    expected = (apart.mean(), apart.mean() - half, apart.mean() + half)
    assert [row[f"difference{end}"] for end in ("", "_low", "_high")] == pytest.approx(expected)
    assert row["mean"] == pytest.approx(wide["rope2d"].mean())
    assert row["unit"] == pytest.approx(wide["learned"].std(ddof=1))


def test_of_a_seam_the_distance_from_real_pictures_counts_on_either_side(study):
    scores = study.scores
    seam = (scores["metric"] == "seam") & (scores["tokens"] == "trained")
    smooth = scores["value"].mask(seam & (scores["arm"] == "rope2d"), -scores["value"])
    assert sides(with_scores(study, scores.assign(value=smooth)))["seam", "trained", "none"] == "below"
    floor = scores["real_floor"].mask(seam, 0.3)  # what was measured of real pictures counts before 0
    values = networks(with_scores(study, scores.assign(real_floor=floor)))
    own = values[
        (values["metric"] == "seam") & (values["tokens"] == "trained") & (values["arm"] == "learned")
    ]
    raw = scores[seam & (scores["arm"] == "learned")].groupby("seed")["value"].mean()
    np.testing.assert_allclose(own["value"], (raw - 0.3).abs())


def test_the_value_of_a_network_is_the_mean_of_its_samplings(study):
    scores = study.scores
    second = (scores["sampling_seed"] % 2 == 1).fillna(False) & (scores["metric"] == "layout_accuracy")
    moved = scores.assign(value=scores["value"] + 0.2 * second)
    before, after = (evidence(one) for one in (study, with_scores(study, moved)))
    apart = after["mean"] - before["mean"]
    of_layout = (before["metric"] == "layout_accuracy") & (before["tokens"] == "trained")
    np.testing.assert_allclose(apart[of_layout], 0.1)
    np.testing.assert_allclose(apart[~of_layout], 0)  # other grids are scored once


def test_another_baseline_leaves_the_question_as_it_is(study):
    definition = replace(
        study.definition, baseline="none", comparisons=(("learned", "none"), ("rope2d", "none"))
    )
    other = replace(study, definition=definition)
    assert sides(other) == sides(study)
    turned = replace(definition, baseline="rope2d", comparisons=(("learned", "rope2d"),))
    assert sides(replace(study, definition=turned)) == sides(study)


def test_runs_that_failed_do_not_count(study):
    cells = study.cells.assign(state=study.cells["state"].mask(study.cells["seed"] == 2, "failed"))
    assert {*networks(replace(study, cells=cells))["seed"]} == {0, 1, 3}


def test_there_is_nothing_without_measurements_or_without_both_arms(study):
    assert evidence(example().study).empty
    assert evidence(example_evidence(("learned", "none")).study).empty
    assert evidence(example_evidence(("none", "rope2d")).study).empty
    only = study.scores[~study.scores["metric"].isin(["layout_accuracy", "layout_found", "seam"])]
    assert {*evidence(with_scores(study, only))["metric"]} == {
        "shift_error_interior", "shift_error_border", "held_out_loss", "fd_digits"}  # fmt: skip


def test_a_measurement_that_an_arm_lacks_leaves_the_others_theirs(study):
    scores = study.scores
    gone = (scores["tokens"] == "8x16") & (scores["arm"] == "learned")
    found = evidence(with_scores(study, scores[~gone]))
    own = found[found["tokens"] == "8x16"]
    assert {*own["arm"]} == {"none", "rope2d"}
    assert own["difference"].isna().all()
    assert {side for (_, tokens, _), side in sides(with_scores(study, scores[~gone])).items()
            if tokens == "8x16"} == {"unknown"}  # fmt: skip


def test_one_seed_tells_nothing():
    assert {*sides(example_evidence(seeds=1).study).values()} == {"unknown"}


@pytest.mark.parametrize(
    ("arms", "expected"),
    [
        ([("a", "rope2d:theta=100"), ("b", "learned")], ("a", "b")),
        ([("a", "rope2d_mixed"), ("b", "learned")], None),
        ([("a", "learned+rope2d"), ("b", "learned")], None),
        ([("fast", "rope2d", {"train.lr": "1"}), ("a", "rope2d"), ("b", "learned")], ("a", "b")),
        ([("fast", "rope2d", {"train.lr": "1"}), ("b", "learned")], ("fast", "b")),
    ],
)
def test_the_arms_of_the_question_are_found_by_their_variants(study, arms, expected):
    records = tuple(ArmRecord(label, spec, *rest or [{}]) for label, spec, *rest in arms)
    assert subjects(replace(study, definition=replace(study.definition, arms=records))) == expected


def test_loss_by_t_is_each_network_s(study):
    found = loss_by_t(study)
    assert sorted({*found["t"]}) == pytest.approx([0.05 + i / 10 for i in range(10)])
    assert len(found) == 3 * 4 * 10
    whole = study.scores[study.scores["metric"] == "held_out_loss"].set_index(["arm", "seed"])["value"]
    first = found[found["t"] < 0.06].set_index(["arm", "seed"])["value"]
    np.testing.assert_allclose(first, whole.loc[first.index] + 4.5**2 / 40)


def test_nothing_is_concluded_of_a_study_that_is_not_whole(study):
    assert may_conclude(study)
    missing = study.cells["state"].mask(study.cells.index == 0, "missing")
    assert not may_conclude(replace(study, cells=study.cells.assign(state=missing)))
    assert not may_conclude(replace(study, withheld="it was changed"))
