"""The ranking at the endpoint against that of other metrics, encoders, steps, samplers and sizes."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis import tables
from analysis.figures.examples.study import example
from analysis.stats import kendall_tau

ARMS, SEEDS = ("learned", "none", "rope1d", "rope2d"), 7
LEAST = 2 * 0.025 ** (1 / SEEDS) - 1  # what seven seeds that agree can tell


def made(better="lower"):
    """A study whose arms rank in their order in every way to score them, and each row's place in it."""
    study = example(ARMS, SEEDS, better).study
    place = study.scores["arm"].map({arm: i for i, arm in enumerate(ARMS)})
    values = place + 0.01 * study.scores["seed"]
    scores = study.scores.assign(value=values if better == "lower" else -values)
    return replace(study, scores=scores), place


def with_metric(study, name, extractor, better, value):
    """The study with one metric more, which gives this value by the arm's place."""
    rows = study.scores.copy()
    place = rows["arm"].map({arm: i for i, arm in enumerate(ARMS)})
    rows = rows.assign(
        metric=name, extractor=extractor, better=better, value=value(place) + 0.01 * rows["seed"]
    )
    return replace(study, scores=pd.concat([study.scores, rows], ignore_index=True))


def by_way(study):
    return tables.stability_table(study).set_index(["what", "other"])


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_every_way_to_score_is_there_once_and_the_endpoint_is_not(better):
    study, _ = made(better)
    end = study.definition.endpoint
    table = tables.stability_table(study)
    assert table["what"].tolist() == ["sampler"] * 3 + ["n"] + ["step"] * 2
    assert end.sampler not in set(table["other"])
    assert table["other"].tolist()[3:] == ["n = 100", "step 200, n = 100", "step 400, n = 100"]
    assert table["nfe"].tolist() == [8, 4, 8, 4, 4, 4]
    assert (table["tau"] == 1).all()
    assert table["low"].tolist() == pytest.approx([LEAST] * 6)


def test_a_sampler_that_turns_the_ranking_round_is_found():
    study, _ = made()
    [odd] = {s for s in study.definition.samplers if s.startswith("heun") and s.endswith("steps=2")}
    turned = study.scores["value"].mask(study.scores["sampler"] == odd, -study.scores["value"])
    table = by_way(replace(study, scores=study.scores.assign(value=turned)))
    assert table.loc[("sampler", odd)].tolist() == [4, -1, -1, pytest.approx(-LEAST)]
    assert (table["tau"] == 1).sum() == 5


def test_metrics_count_in_the_direction_that_is_better_for_them():
    study, _ = made()
    study = with_metric(study, "recall_digits", "digits", "higher", lambda place: 1 - place)
    study = with_metric(study, "density_digits", "digits", "higher", lambda place: place)
    study = with_metric(study, "seam", "-", "lower", lambda place: place)
    study = with_metric(study, "fd_other", "other", "lower", lambda place: place)
    table = by_way(study)
    assert table.loc[("metric", "recall_digits")]["tau"] == 1
    assert table.loc[("metric", "density_digits")]["tau"] == -1
    assert table.loc[("metric", "seam")]["tau"] == 1  # it sees no features, and so has no encoder
    assert table.loc[("encoder", "fd_other")]["tau"] == 1


def test_taus_are_those_of_the_statistics():
    study, _ = made()
    rng = np.random.default_rng(3)
    study = replace(study, scores=study.scores.assign(value=rng.normal(size=len(study.scores))))
    table = by_way(study)
    end, other = study.definition.endpoint, "heun:grid=uniform,steps=4"
    rows = study.scores[(study.scores["n"] == end.n) & study.scores["sampler"].isin([end.sampler, other])]
    rows = rows.loc[rows["train_step"] == end.train_step, ["arm", "seed", "sampler", "value"]]
    expected = kendall_tau(rows.sort_values("sampler"), "sampler", np.random.default_rng(0))
    ends = ["tau", "low", "high"]
    assert table.loc[("sampler", other)][ends].tolist() == expected.iloc[0][ends].tolist()


def test_networks_that_ended_badly_are_left_out_everywhere():
    """A run that failed after it was scored has no value at the endpoint, nor elsewhere."""
    study, place = made()
    gone = (study.cells["arm"] == "none") & (study.cells["seed"] == 0)
    failed = study.cells["state"].mask(gone, "failed")
    wrong = study.scores["value"].mask((place == 1) & (study.scores["seed"] == 0), 99.0)
    study = replace(study, cells=study.cells.assign(state=failed), scores=study.scores.assign(value=wrong))
    assert (tables.stability_table(study)["tau"] == 1).all()


def test_a_study_that_was_scored_in_one_way_has_no_table():
    study, _ = made()
    end = study.definition.endpoint
    only = (study.scores["sampler"] == end.sampler) & (study.scores["n"] == end.n)
    assert tables.stability_table(replace(study, scores=study.scores[only])).empty
