"""Each arm at its own best guidance: chosen on one half of the samplings, scored on the other."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.figures.examples.evidence import example_evidence
from analysis.judging.best_guidance import best_guidance, crossed
from analysis.study import Study, endpoint_rows

CHOICES = 12
WEIGHTS = [f"cfg:begin=0,end=1,weight={1 + i / 4:g}" for i in range(CHOICES)]


@pytest.fixture(scope="module")
def base() -> Study:
    """Two arms, three seeds, two samplings."""
    return example_evidence(("learned", "none"), 3, samplings=2).study


def made_up(study: Study, spread: dict[str, float], rng: np.random.Generator, shift: float = 0.0) -> Study:
    """A study in which no guidance is better than another, and arms differ in the noise of a sampling."""
    first = endpoint_rows(study.scores, study.definition)
    rows = pd.concat([first.assign(guidance=weight) for weight in WEIGHTS], ignore_index=True)
    # the noise of a sampling and guidance is the same for all seeds, so that no mean over seeds takes it away
    noise = {(arm, index, weight): rng.normal(0, scale) for arm, scale in spread.items() for index in (0, 1)
             for weight in WEIGHTS}  # fmt: skip
    index = rows["sampling_seed"] % 1000
    effect = {"learned": 0.0, "none": shift}
    cells = zip(rows["arm"], rows["seed"], index, rows["guidance"], strict=True)
    values = [10 + effect[arm] + 0.01 * seed ** (1 + (arm == "none")) + noise[arm, i, weight]
              for arm, seed, i, weight in cells]  # fmt: skip
    average = study.definition.endpoint.ema
    definition = replace(study.definition, best_guidance=tuple((weight, average) for weight in WEIGHTS))
    return replace(study, definition=definition, scores=rows.assign(value=values))


def naive(study: Study) -> pd.Series:
    """Score of each arm at its best guidance, chosen and scored on the same samplings."""
    return study.scores.groupby(["arm", "guidance"])["value"].mean().groupby("arm").min()


def test_the_arm_with_more_noise_is_favoured_by_choosing_alone_and_not_by_cross_fitting(base):
    rng = np.random.default_rng(0)
    studies = [made_up(base, {"learned": 0.01, "none": 1.0}, rng) for _ in range(15)]
    gain = [float(naive(study)["none"] - naive(study)["learned"]) for study in studies]
    fair = [float(best_guidance(study).set_index("arm")["difference"]["none"]) for study in studies]
    error = np.std(fair) / len(fair) ** 0.5
    assert np.mean(gain) < -0.8  # the best of 12 means of two is 1.15 of their standard deviations away
    assert abs(np.mean(fair)) < 3 * error < 0.8


def test_a_planted_difference_is_found(base):
    study = made_up(base, {"learned": 0.01, "none": 0.01}, np.random.default_rng(1), shift=-2.0)
    [row] = best_guidance(study)[lambda frame: frame["arm"] == "none"].to_dict("records")
    assert row["reference"] == "learned"
    assert row["difference_high"] < -1.9
    assert row["difference"] == pytest.approx(-2.0, abs=0.06)


def test_choice_and_score_by_hand():
    study = example_evidence(("learned", "none"), 2).study
    scores = study.scores
    weight = scores["guidance"].str.extract(r"weight=(\d)")[0].astype(float)
    even = scores["sampling_seed"] % 2 == 0
    planted = {
        (True, 1.0): 5,
        (True, 2.0): 3,
        (True, 4.0): 4,
        (False, 1.0): 50,
        (False, 2.0): 40,
        (False, 4.0): 30,
    }
    here = endpoint_rows(scores, study.definition, "guidance").index
    values = [float(planted[bool(e), w]) for e, w in zip(even[here], weight[here], strict=True)]
    scores = scores.assign(value=scores["value"].astype("float64"))
    scores.loc[here, "value"] = values
    study = replace(study, scores=scores)
    # even choose weight 2, which has 40 on odd ones; odd choose 4, which has 4 on even ones
    assert [*crossed(study)["value"]] == [22.0] * 4
    found = best_guidance(study)
    assert {*found["guidance_even"]} == {"cfg:begin=0,end=1,weight=2"}
    assert {*found["guidance_odd"]} == {"cfg:begin=0,end=1,weight=4"}


def test_where_higher_is_better_the_highest_is_chosen():
    study = example_evidence(("learned", "none"), 2).study
    end = replace(study.definition.endpoint, better="higher")
    found = best_guidance(replace(study, definition=replace(study.definition, endpoint=end)))
    assert {*found["guidance_even"]} == {"cfg:begin=0,end=1,weight=4"}


def test_averages_are_chosen_too():
    study = example_evidence(("learned", "none"), 2).study
    end = study.definition.endpoint
    other = endpoint_rows(study.scores, study.definition).assign(ema="raw")
    other = other.assign(
        value=other["value"] - 7 * (other["arm"] == "none") + 7 * (other["arm"] == "learned")
    )
    choices = ((end.guidance, end.ema), (end.guidance, "raw"))
    definition = replace(study.definition, best_guidance=choices)
    scores = pd.concat([study.scores, other], ignore_index=True)
    found = best_guidance(replace(study, definition=definition, scores=scores)).set_index("arm")
    assert dict(found["average_odd"]) == {"learned": end.ema, "none": "raw"}


def test_a_network_that_lacks_a_choice_has_no_score():
    study = example_evidence(("learned", "none"), 3).study
    scores = study.scores
    gone = (scores["arm"] == "none") & (scores["seed"] == 1) & scores["guidance"].str.endswith("weight=4")
    short = replace(study, scores=scores[~gone])
    assert [*best_guidance(short)["seeds"]] == [3, 2]
    everything = replace(study, scores=scores[~scores["guidance"].str.endswith("weight=4")])
    assert best_guidance(everything).empty


def test_what_was_not_declared_is_not_there():
    study = example_evidence().study
    assert len(best_guidance(study)) == 3
    assert best_guidance(replace(study, definition=replace(study.definition, best_guidance=()))).empty
