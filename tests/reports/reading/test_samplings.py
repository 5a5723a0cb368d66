"""An endpoint that averages several samplings of each network, with noise of each seed or of all."""

import math
from dataclasses import replace

import pandas as pd
import pytest
from report_pages import texts, tiny_fixture  # noqa: F401
from report_stores import MADE_UP, copy_of, definition, made_up, redefine, study_in

from analysis import tables
from analysis.figures.samples import sample_pictures
from analysis.page import text_tables
from analysis.study import Study, averaged, endpoint_rows

ARMS = {"learned": "learned", "rope2d": "rope2d"}
FIXED = "Every training seed was scored with the same noise and classes"


def value(arm: str, seed: int) -> float:
    """Of the first sampling, but for what all have; each further one scores 0.1 more."""
    return 20.0 + seed - (arm != "learned")


def cut(study: Study, arm: str, seed: int, index: int) -> pd.DataFrame:
    """Its scores without a network's sampling of that index."""
    scores, first = study.scores, study.definition.endpoint.sampling_seeds(seed).start
    lost = (scores["arm"] == arm) & (scores["seed"] == seed) & (scores["sampling_seed"] == first + index)
    assert lost.any()
    return scores[~lost]


@pytest.fixture(scope="module", params=[False, True], ids=["by seed", "fixed"])
def store(request, tiny, tmp_path_factory):
    """A store with a study whose endpoint averages both samplings that were scored."""
    wanted = definition(ARMS, range(3))
    end = replace(wanted.endpoint, samplings=2, fixed_noise=request.param)
    return made_up(copy_of(tiny, tmp_path_factory.mktemp("store")), replace(wanted, endpoint=end), value)


@pytest.fixture(scope="module")
def study(store):
    return study_in(store, MADE_UP)


def test_one_value_a_network_the_mean_of_its_samplings(study):
    found = study.endpoint().set_index(["arm", "seed"])["value"]
    assert len(found) == 6
    for arm in ARMS:
        for seed in range(3):
            expected = value(arm, seed) + 0.05 + 20 / 100 + 5 / 20
            assert found[arm, seed] == pytest.approx(expected, abs=1e-9)
    assert set(study.cells["state"]) == {"done"}


def test_every_table_of_final_scores_has_the_means(study):
    main = tables.main_table(study, pd.DataFrame(columns=["run_id", "key", "value"])).set_index("arm")
    mean = study.endpoint().groupby("arm")["value"].mean()
    assert main["mean"].to_dict() == pytest.approx(mean.to_dict())
    assert set(main["seeds"]) == {3}
    assert set(main["sampling_seconds"]) == {5.0}  # of one sampling of 100 pictures, for 1,000
    scores = tables.final_scores(study)
    assert len(scores) == 6 * 3  # samplers
    under = scores.groupby(["sampler", "arm"])["value"].mean()
    sizes = tables.infinity_table(study).set_index(["arm", "n"])
    by_nfe = tables.sampler_table(study).set_index(["sampler", "arm"])
    for arm in ARMS:
        assert under[study.definition.endpoint.sampler, arm] == pytest.approx(mean[arm])
        assert sizes["mean"][arm, 100] == pytest.approx(mean[arm])
        assert by_nfe["mean"][study.definition.endpoint.sampler, arm] == pytest.approx(mean[arm])
    assert set(by_nfe["seeds"]) == {3}
    for arm in ARMS:  # a score is its seed, 20 / n and what is the same for all
        assert sizes["mean"][arm, math.inf] == pytest.approx(mean[arm] - 20 / 100)
        assert sizes["error"][arm, math.inf] == pytest.approx(1 / math.sqrt(3))
    titles = [column.title for column in text_tables.sizes(tables.infinity_table(study), study).columns]
    assert titles[-2:] == ["at infinity", "Standard error at infinity"]


def test_other_metrics_are_means_of_the_same_samplings(study):
    end = study.definition.endpoint
    higher = (study.scores["metric"] == "recall_digits") & (study.scores["sampling_seed"] % 1000 == 1)
    changed = replace(study, scores=study.scores.assign(value=study.scores["value"].where(~higher, 0.8)))
    main = tables.main_table(changed, pd.DataFrame(columns=["run_id", "key", "value"]))
    assert list(main["recall_digits"]) == pytest.approx([0.6, 0.6])  # of 0.4 and 0.8
    assert end.samplings == 2


def test_the_curve_is_of_the_first_sampling(study):
    curve = tables.curve_scores(study)
    assert set(curve["train_step"]) == {10, 20}
    last = curve[(curve["arm"] == "learned") & (curve["seed"] == 1) & (curve["train_step"] == 20)]
    assert list(last["value"]) == pytest.approx([value("learned", 1) + 20 / 50 + 5 / 20])


def test_a_network_that_lacks_a_sampling_has_no_value(study):
    for index in range(2):
        less = replace(study, scores=cut(study, "rope2d", 1, index))
        assert [*less.endpoint().query("arm == 'rope2d'")["seed"]] == [0, 2]


def test_a_cell_that_lacks_a_sampling_is_not_done(store, study, tmp_path):
    redefine(copy_of(store, tmp_path), MADE_UP, endpoint=replace(study.definition.endpoint, samplings=3))
    cells = study_in(tmp_path, MADE_UP).cells
    assert set(cells["state"]) == {"missing"}
    assert set(cells["message"]) == {"ended without a score at the primary endpoint"}


def test_samplings_that_were_added_later_move_no_value_and_show_the_spread(study):
    end = replace(study.definition.endpoint, samplings=1)
    found = replace(study, definition=replace(study.definition, endpoint=end))
    expected = [value(arm, seed) + 20 / 100 + 5 / 20 for arm in ARMS for seed in range(3)]
    assert list(found.endpoint()["value"]) == pytest.approx(expected)
    spreads = tables.spread_table(found)
    assert set(spreads["sampling_seeds"]) == {2}
    assert list(spreads["resampling"]) == pytest.approx([pd.Series([0, 0.1]).std()] * 2)


def test_noise_of_another_scheme_is_not_the_endpoint_s(study):
    end = study.definition.endpoint
    other = replace(study.definition, endpoint=replace(end, fixed_noise=not end.fixed_noise))
    assert set(endpoint_rows(study.scores, other)["seed"]) == {0}  # whose noise is that of both
    assert len(endpoint_rows(study.scores, study.definition)) == 12


def test_seeds_of_whatever_size_are_told_apart(study):
    seed = 2**62 + 1
    moved = study.scores[study.scores["seed"] == 0]
    wanted = replace(study.definition, seeds=(seed,))
    drawn = list(wanted.endpoint.sampling_seeds(seed))
    moved = moved.assign(seed=seed, sampling_seed=moved["sampling_seed"] + drawn[0])
    rows = endpoint_rows(moved, wanted)
    assert sorted(set(rows["sampling_seed"])) == drawn
    assert len(averaged(rows, 2)) == 2


def test_the_pictures_shown_are_those_of_the_first_sampling_of_their_seed(store, study):
    uri = f"sqlite:///{store}/mlflow.db"
    cells = study.cells.assign(state=["done" if seed == 1 else "failed" for seed in study.cells["seed"]])
    pictures, seed = sample_pictures(replace(study, cells=cells), uri)
    assert (sorted(pictures), seed) == (sorted(ARMS), 1)


def test_only_a_report_of_fixed_noise_says_what_its_intervals_lack(store, study):
    page, markdown = texts(store, MADE_UP)
    for text in (page.text, markdown):
        assert (FIXED in text) == study.definition.endpoint.fixed_noise
