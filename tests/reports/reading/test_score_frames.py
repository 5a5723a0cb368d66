"""Scores as a frame: files of before, scores without pictures, and many of them."""

import csv
import io
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from report_stores import ARMS, NAME, copy_of, made_up, run_id, study_in, tiny_folder, uri_of
from report_stores import definition as a_study

from analysis import load, report
from analysis.page.provenance import cautions
from analysis.page.render import render
from experiments.records.mlflow_store import connect
from experiments.records.score import SCORE_COLUMNS, Score, ScoreKey, read_scores, write_scores
from rope_dit.errors import UserError

LATER = ("tokens", "extrapolation", "classes", "floor_n", "held_out", "held_out_floor")
BEFORE = [name for name in SCORE_COLUMNS if name not in LATER]
WHOLE = ("seed", "train_step", "n", "n_real", "sampling_seed")


@pytest.fixture
def store(tmp_path_factory, tmp_path):
    return made_up(tmp_path, a_study(ARMS, range(2)), lambda arm, seed: 1 / 3 + seed, name=NAME)


def file_of(store: Path, arm: str, seed: int) -> Path:
    info = connect(uri_of(store)).get_run(run_id(store, arm, seed)).info
    return Path(info.artifact_uri.removeprefix("file://")) / "scores.csv"


def uid_of(store: Path, arm: str, seed: int) -> str:
    return connect(uri_of(store)).get_run(run_id(store, arm, seed)).data.tags["run_uid"]


def scores_of(store: Path, arm: str, seed: int) -> list[Score]:
    return read_scores(file_of(store, arm, seed).read_text(), uid_of(store, arm, seed))


def write(store: Path, arm: str, seed: int, scores: list[Score]) -> None:
    file_of(store, arm, seed).write_text(write_scores(scores, uid_of(store, arm, seed)))


def probe(arm: str, seed: int) -> Score:
    """A score of the network itself, without pictures."""
    key = ScoreKey(
        arm=arm, seed=seed, train_step=20, sampler="-", guidance="-", nfe=None, grid="-", tokens="trained",
        extrapolation="none", classes="data", ema="0.9", extractor="-", metric="held_out_loss", n=None,
        n_real=None, sampling_seed=None,
    )  # fmt: skip
    return Score(key=key, value=0.5, better="lower", real_floor=None, untrained=None,
                 images_sha256="-", reference_sha256="-", extractor_sha256="-", sampling_seconds=0.0,
                 time=1.8e9)  # fmt: skip


def test_columns_have_their_types_and_values_their_last_bit(store):
    frame = load.scores(NAME, uri_of(store))
    kinds = frame.dtypes.astype(str).to_dict()
    wanted = dict.fromkeys(WHOLE, "int64") | {"time": "datetime64[us, UTC]"}
    wanted |= dict.fromkeys(("nfe", "value", "real_floor", "untrained", "sampling_seconds"), "float64")
    wanted |= dict.fromkeys(("held_out", "held_out_floor"), "float64")
    wanted |= dict.fromkeys(("n", "n_real", "floor_n", "sampling_seed"), "Int64")  # they may be missing
    assert kinds == {name: wanted.get(name, "str") for name in ["run_id", *SCORE_COLUMNS]}
    mine = frame[frame["run_id"] == run_id(store, "rope2d", 1)]
    there = scores_of(store, "rope2d", 1)
    assert list(mine["value"]) == [score.value for score in there]
    assert list(mine["images_sha256"]) == [score.images_sha256 for score in there]


def test_a_file_of_before_gives_the_same_frame(store):
    now = load.scores(NAME, uri_of(store))
    for arm in ARMS:
        for seed in range(2):
            text = io.StringIO()
            writer = csv.DictWriter(text, BEFORE, extrasaction="ignore")
            writer.writeheader()
            for score in scores_of(store, arm, seed):
                writer.writerow({**score.row(), "guidance": "1"})
            file_of(store, arm, seed).write_text(text.getvalue())
    frame = load.scores(NAME, uri_of(store))
    pd.testing.assert_frame_equal(frame, now.assign(held_out=float("nan"), held_out_floor=float("nan")))
    assert (now.attrs["unsealed"], len(frame.attrs["unsealed"])) == ([], 2 * len(ARMS))
    said = "Of 6 runs 6 have a table of scores without SHA-256, as earlier versions wrote it"
    assert [said in line for line in cautions(study_in(store))].count(True) == 1


def test_a_table_that_was_edited_or_is_another_run_s_is_named_and_not_drawn(store):
    file, other = file_of(store, "rope2d", 1), file_of(store, "rope2d", 0)
    whole = file.read_text()
    value = str(scores_of(store, "rope2d", 1)[0].value)
    for text in (whole.replace(value, "0.001"), other.read_text(), "", "\ufeff" + whole):
        file.write_text(text)
        for use in (load.scores, load.curves):
            with pytest.raises(UserError, match=f"artifacts of run {run_id(store, 'rope2d', 1)} are damaged"):
                use(NAME, uri_of(store))


def test_scores_without_pictures_are_missing_numbers_and_change_no_verdict(store):
    before, endpoint = study_in(store).same_models, study_in(store).endpoint()
    for arm in ARMS:
        for seed in range(2):
            write(store, arm, seed, [*scores_of(store, arm, seed), probe(arm, seed)])
    frame = load.scores(NAME, uri_of(store))
    whole = dict.fromkeys(("n", "n_real", "sampling_seed"), "Int64")
    assert {name: str(frame[name].dtype) for name in WHOLE} == dict.fromkeys(WHOLE, "int64") | whole
    mine = frame[frame["metric"] == "held_out_loss"]
    assert len(mine) == 6
    assert mine[["nfe", "real_floor", *whole]].isna().all(axis=None)
    study = study_in(store)
    assert study.same_models == before
    pd.testing.assert_frame_equal(study.endpoint(), endpoint, check_dtype=False)
    contents = report.contents_of(study, load.curves(NAME, uri_of(store)), {})
    assert "| no: extractor, extractor's weights" in render(contents, [])["report.md"]


def test_the_made_up_study_is_like_a_real_one(tmp_path_factory, tmp_path):
    """Which tests of reports need: whole, paired, with two arms alike."""
    study = study_in(copy_of(tiny_folder(tmp_path_factory), tmp_path))
    assert not study.partial
    assert study.is_paired("rope2d", "learned")
    assert study.same_models == [frozenset({"rope2d", "twin"})]


@pytest.mark.slow
def test_sixty_thousand_scores_are_read_in_seconds(store):
    one = scores_of(store, "rope2d", 0)[0]
    many = [replace(one, key=replace(one.key, sampling_seed=seed)) for seed in range(60_000)]
    write(store, "rope2d", 0, many)
    begun = time.perf_counter()
    assert len(load.scores(NAME, uri_of(store))) > 60_000
    assert time.perf_counter() - begun < 10
