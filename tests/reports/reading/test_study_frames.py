"""A study out of the tracking store: cells, pairing, endpoint, and the stores that cannot be read."""

import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from commands import rows
from report_stores import (
    ARMS,
    EULER,
    MADE_UP,
    NAME,
    copy_of,
    define,
    definition,
    end_as,
    made_up,
    real_folder,
    redefine,
    run_id,
    study_in,
    tiny_folder,
    uri_of,
)

from analysis import load
from analysis.judging import looks
from analysis.judging.judge import judge
from analysis.study import load_study
from experiments.records.definition import Look
from experiments.records.mlflow_store import connect
from rope_dit.errors import UserError


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return real_folder(tmp_path_factory)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_folder(tmp_path_factory)


@pytest.fixture
def store(tiny, tmp_path):
    """A copy of the made-up study's store, to change."""
    return copy_of(tiny, tmp_path)


@pytest.fixture(scope="module")
def study(tiny):
    return study_in(tiny)


# What a whole study gives


@pytest.mark.slow
def test_the_endpoint_is_that_of_the_run_folders(real):
    study, there = study_in(real), {}
    for folder in (real / "runs").iterdir():
        found = [r for r in rows(folder) if all(r[k] == v for k, v in POINT.items())]
        [row] = [r for r in found if r["sampling_seed"] == str(1000 * int(r["seed"]))]
        there[row["arm"], int(row["seed"])] = (float(row["value"]), float(row["real_floor"]))
    found = study.endpoint()
    assert list(found["arm"]) == [arm for arm in ARMS for _ in range(2)]  # in the study's order
    assert {(r.arm, r.seed): (r.value, r.real_floor) for r in found.itertuples()} == there


POINT = {"metric": "fd_digits", "sampler": EULER, "n": "100", "train_step": "20"}


def test_every_cell_is_done_and_paired(study):
    assert list(study.cells["state"]) == ["done"] * 6
    assert not study.partial
    assert study.is_paired("rope2d", "learned")
    pairs = [("rope2d", 0), ("rope2d", 1), ("twin", 0), ("twin", 1)]
    assert list(zip(study.pairing["arm"], study.pairing["seed"], strict=True)) == pairs
    assert study.pairing[["inputs", "weights"]].all(axis=None)


def test_arms_that_end_alike_to_the_bit_are_the_same_model(study):
    assert study.same_models == [frozenset({"rope2d", "twin"})]


def test_one_other_picture_makes_another_model(study):
    scores = study.scores
    last = scores.index[(scores["arm"] == "twin") & (scores["train_step"] == 20)][-1]
    images = scores["images_sha256"].mask(scores.index == last, "other")
    other = replace(study, scores=scores.assign(images_sha256=images))
    assert other.same_models == []


@pytest.mark.slow
def test_curves_of_ended_runs_are_what_mlflow_was_told(real):
    found = load.curves(NAME, uri_of(real))
    client = connect(uri_of(real))
    for run in found["run_id"].unique():
        keys = client.get_run(run).data.metrics
        told = {
            (key, m.step, m.value, m.timestamp) for key in keys for m in client.get_metric_history(run, key)
        }
        mine = found[found["run_id"] == run]
        milliseconds = mine["time"].astype("int64") // 1000
        assert set(zip(mine["key"], mine["step"], mine["value"], milliseconds, strict=True)) == told


# What is not done


@pytest.mark.parametrize(
    ("status", "outcome", "state", "partial"),
    [
        ("FAILED", "diverged", "diverged", False),
        ("FAILED", "error", "failed", False),
        ("KILLED", "stopped", "missing", True),
        ("KILLED", "killed", "missing", True),
        ("RUNNING", "running", "running", True),
        ("FINISHED", "paused", "done", False),  # it has the endpoint's score
    ],
)
def test_how_a_run_ended_is_the_state_of_its_cell(store, status, outcome, state, partial):
    end_as(store, "rope2d", 1, status, outcome)
    found = study_in(store)
    assert list(found.cells["state"]) == ["done", "done", "done", state, "done", "done"]
    assert found.partial is partial
    assert bool(found.cells["message"][3]) is (state != "done")


def test_cells_without_a_run_are_missing(store):
    redefine(store, seeds=(0, 1, 2))
    found = study_in(store)
    assert found.partial
    missing = found.cells[found.cells["state"] == "missing"]
    assert list(zip(missing["arm"], missing["seed"], strict=True)) == [(arm, 2) for arm in ARMS]


def test_a_finished_run_without_the_endpoint_s_score_is_missing(store):
    redefine(store, endpoint=replace(definition(ARMS, [0]).endpoint, train_step=40))
    assert set(study_in(store).cells["state"]) == {"missing"}
    assert study_in(store).endpoint().empty


def test_the_newest_run_of_a_cell_counts(store):
    client, old = connect(uri_of(store)), run_id(store, "learned", 0)
    number = client.get_experiment_by_name(NAME).experiment_id
    tags = {"run_uid": "new", "arm": "learned", "seed": "0", "outcome": "running"}
    new = client.create_run(number, int(1.9e12), tags).info.run_id
    found = study_in(store)
    assert found.cells["run_id"][0] == new
    assert found.cells["state"][0] == "running"
    assert list(found.others["run_id"]) == [old]
    assert old not in set(found.scores["run_id"])


def test_runs_of_no_arm_of_the_study_are_left_out(store):
    redefine(store, arms=definition({"learned": "learned", "rope2d": "rope2d"}, [0]).arms)
    found = study_in(store)
    assert set(found.others["arm"]) == {"twin"}
    assert len(found.cells) == 4


@pytest.mark.parametrize(
    ("tag", "words"), [("inputs_sha256", "inputs"), ("shared_weights_sha256", "weights")]
)
def test_one_run_apart_and_its_arm_is_not_paired_but_the_others_are(store, tag, words):
    connect(uri_of(store)).set_tag(run_id(store, "twin", 1), tag, "other")
    found = study_in(store)
    assert not found.is_paired("twin", "learned")
    assert found.is_paired("rope2d", "learned")
    assert found.pairing_reason("twin", "learned").endswith(f"{words} differ in seed 1")
    assert found.pairing_reason("rope2d", "learned").startswith("in every seed")
    column = {"inputs_sha256": "inputs", "shared_weights_sha256": "weights"}[tag]
    apart = found.pairing[~found.pairing[column].astype("bool")]
    assert apart[["arm", "reference", "seed"]].to_numpy().tolist() == [["twin", "learned", 1]]


def test_runs_that_do_not_say_what_they_saw_are_not_paired(store):
    for arm in ARMS:
        connect(uri_of(store)).set_tag(run_id(store, arm, 0), "inputs_sha256", "")
    assert not study_in(store).is_paired("rope2d", "learned")


def test_arms_without_a_seed_of_both_are_not_paired(store):
    client = connect(uri_of(store))
    client.delete_run(run_id(store, "rope2d", 0))
    client.delete_run(run_id(store, "learned", 1))
    found = study_in(store)
    assert not found.is_paired("rope2d", "learned")
    assert found.pairing_reason("rope2d", "learned") == "no seed has runs of both"
    assert found.is_paired("rope2d", "twin")  # in the seed that both have


def test_scores_of_another_extractor_are_not_compared(study):
    scores = study.scores
    other = scores["extractor_sha256"].mask(scores["run_id"] == study.cells["run_id"][3], "other")
    changed = replace(study, scores=scores.assign(extractor_sha256=other))
    assert list(changed.endpoint()["seed"]) == [0, 1, 0, 0, 1]


@pytest.mark.parametrize(("before", "expected"), [((), 1), ((Look(1.0, 2),), 1), ((Look(1.0, 1),), 2)])
def test_a_look_at_a_study_that_has_grown_is_one_more(store, before, expected):
    redefine(store, looks=before)
    assert len(looks.counted(study_in(store))) == expected


def test_lost_seeds_do_not_make_an_arm_better(store):
    made_up(
        store,
        definition({"a": "none", "b": "none"}, range(6)),
        lambda arm, seed: 9 * (arm == "a") + seed + 0.1 * (arm == "b") * seed,
    )
    assert [c.verdict for c in judge(study_in(store, MADE_UP))] == ["better"]
    end_as(store, "b", 5, "FAILED", "diverged", MADE_UP)
    found = study_in(store, MADE_UP)
    assert found.diverged == {"b": 1}
    assert [c.verdict for c in judge(found)] == ["inconclusive"]


@pytest.mark.parametrize(
    ("status", "outcome", "state"),
    [("FAILED", "diverged", "diverged"), ("FAILED", "error", "failed"), ("KILLED", "killed", "missing")],
)
def test_a_seed_that_is_not_done_is_lost_and_counts_by_what_became_of_it(store, status, outcome, state):
    assert study_in(store).lost == {}
    end_as(store, "rope2d", 1, status, outcome)
    assert study_in(store).lost == {"rope2d": {state: 1}}
    end_as(store, "rope2d", 0, "FAILED", "error")
    end_as(store, "twin", 0, "FAILED", "error")
    both = {state: 2} if state == "failed" else {state: 1, "failed": 1}
    assert study_in(store).lost == {"rope2d": both, "twin": {"failed": 1}}


@pytest.mark.parametrize("outcome", ["diverged", "error"])
def test_a_run_that_failed_after_it_was_scored_has_no_value(store, outcome):
    end_as(store, "rope2d", 1, "FAILED", outcome)
    values = study_in(store).endpoint()
    assert list(values.loc[values["arm"] == "rope2d", "seed"]) == [0]
    assert len(values) == 5


# What cannot be read


def test_an_unknown_study_is_refused_with_the_nearest(tiny):
    with pytest.raises(UserError, match=r"no experiment 'tinny'; there are: tiny\. Did you mean 'tiny'"):
        load_study("tinny", uri_of(tiny))


def test_a_plain_experiment_says_how_to_make_a_study(store):
    client = connect(uri_of(store))
    number = client.create_experiment("plain")
    client.create_run(number, tags={"run_uid": "u", "arm": "none", "seed": "0"})
    with pytest.raises(UserError, match="'plain' has runs but is no study") as caught:
        load_study("plain", uri_of(store))
    assert "experiments.study --name" in caught.value.details[0]


def test_a_study_without_runs_is_refused(store):
    define(store, definition(ARMS, [0], name="young"))
    with pytest.raises(UserError, match="'young' has no runs yet"):
        load_study("young", uri_of(store))


def test_a_tuning_study_points_to_its_confirmation(store):
    redefine(store, kind="tune", comparisons=())
    with pytest.raises(UserError, match="tunes settings and compares nothing") as caught:
        study_in(store)
    assert "--from-tuned tiny" in caught.value.details[0]


def test_damaged_scores_name_the_run(store):
    made_up(store, definition({"a": "none"}, [0]), lambda arm, seed: 1.0)
    run = connect(uri_of(store)).get_run(run_id(store, "a", 0, MADE_UP)).info
    file = Path(run.artifact_uri.removeprefix("file://")) / "scores.csv"
    file.write_text(file.read_text().replace("fd_digits,100,", "fd_digits,much,"))
    with pytest.raises(UserError, match=f"artifacts of run {run.run_id} are damaged"):
        study_in(store, MADE_UP)


def test_curves_of_a_plug_in_s_samplers_are_left_out_and_their_scores_are_there(store):
    specs = {"sampler": "rk9:steps=2", "guidance": "mine:w=3"}
    for name, spec in specs.items():
        wanted = definition({"a": "none"}, [0], samplers=(EULER, "rk9:steps=2"))
        if name == "guidance":
            wanted = replace(wanted, endpoint=replace(wanted.endpoint, guidance=spec))
        made_up(store, wanted, lambda arm, seed: 1.0, name=name)
        assert spec in set(load.scores(name, uri_of(store))[name])
        keys = set(load.curves(name, uri_of(store))["key"])
        assert "train/images_per_second" in keys
        assert ("fd_digits/euler-2-cfg1" in keys) == (name == "sampler")
        assert not any("rk9" in key or "mine" in key for key in keys)


def test_an_average_of_a_plug_in_says_to_give_it(store):
    made_up(store, definition({"a": "none"}, [0]), lambda arm, seed: 1.0)
    with contextlib.closing(sqlite3.connect(store / "mlflow.db")) as database, database:
        change = "UPDATE params SET value = 'mine:w=3' WHERE key = 'train.averages' AND run_uuid = ?"
        database.execute(change, [run_id(store, "a", 0, MADE_UP)])
    with pytest.raises(UserError, match=r"unknown average 'mine'.* Give --plugins with the folder"):
        load.curves(MADE_UP, uri_of(store))


def test_a_store_of_a_newer_mlflow_says_so(store):
    with sqlite3.connect(store / "mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    database.close()
    with pytest.raises(UserError, match="another version of MLflow"):
        study_in(store)


@pytest.mark.slow
def test_a_locked_store_says_so(store):
    database = sqlite3.connect(store / "mlflow.db")
    database.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(UserError, match="is locked by another program"):
            load_study(NAME, f"{uri_of(store)}?timeout=0.1")
    finally:
        database.close()
