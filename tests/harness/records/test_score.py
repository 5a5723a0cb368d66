"""The table of scores: to the bit and back, of this version and of those before, and damaged."""

import csv
import io
import struct
from dataclasses import astuple, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mirrors import key, scored

from experiments.records.score import (
    KEY_COLUMNS,
    NOTHING,
    SCORE_COLUMNS,
    Score,
    ScoreKey,
    read_scores,
    write_scores,
)
from rope_dit.errors import UserError
from rope_dit.guidance.spec import GuidanceSpec

OLD = """\
arm,seed,train_step,sampler,guidance,nfe,grid,ema,extractor,metric,n,n_real,sampling_seed,value,better,\
real_floor,images_sha256,reference_sha256,extractor_sha256,sampling_seconds,time
rope2d:theta=100,0,10,"euler:grid=uniform,steps=4",1,4.0,uniform,0.9,digits,fd_digits,50,1437,0,\
23.97366032681862,lower,2.709319984477355,41a3,1288,567e,0.042,1795627167.2373707
learned:std=0.02+rope2d:theta=100,3,20,"dopri5:atol=0.0001,rtol=0.0001",3-0.2to0.9,61.5,,0.9,digits,kid_digits,\
100,1437,2,-0.009570188522338867,lower,1e-05,41a3,1288,567e,12.5,1795627168.0
"""
"""as commit 2cdd03a wrote it"""

TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), include_characters=" "), max_size=30
)
NUMBERS = st.floats(allow_nan=False)
SIX_DIGITS = st.integers(2, 9999).map(lambda n: n / 10)
GUIDANCES = st.just(NOTHING) | st.builds(
    lambda weight: str(GuidanceSpec.parse(f"cfg:weight={weight}")), SIX_DIGITS
)


def optional(strategy):
    return st.none() | strategy


KEYS = st.builds(
    ScoreKey,
    **{name: TEXTS for name in ("arm", "ema", "extractor", "metric")},
    sampler=TEXTS.map(
        "none that is here: {}".format
    ),  # else 'heun:steps=1' is found, and has a grid when read
    **{name: TEXTS for name in ("tokens", "extrapolation", "classes")},
    **{name: optional(st.integers(0)) for name in ("n", "n_real", "sampling_seed")},
    **{name: st.integers(0, 2**63 - 1) for name in ("seed", "train_step")},
    guidance=GUIDANCES,
    nfe=optional(NUMBERS),
    grid=TEXTS.filter(bool),
)
SCORES = st.builds(
    Score,
    key=KEYS, value=NUMBERS, better=TEXTS, real_floor=NUMBERS, images_sha256=TEXTS, reference_sha256=TEXTS,
    extractor_sha256=TEXTS, sampling_seconds=NUMBERS, time=NUMBERS,
)  # fmt: skip


def bits(score: Score) -> list[object]:
    """All values, numbers with a point by their bits."""
    return [
        struct.pack("d", v) if isinstance(v, float) else v for v in (*astuple(score.key), *astuple(score)[1:])
    ]


@given(st.lists(SCORES, max_size=4))
def test_scores_written_and_read_are_the_same_to_the_bit(scores):
    again = read_scores(write_scores(scores))
    assert again == scores
    assert [bits(score) for score in again] == [bits(score) for score in scores]
    assert write_scores(again) == write_scores(scores)


def test_a_number_that_is_none_is_kept_too():
    value = read_scores(write_scores([scored(float("nan"))]))[0].value
    assert value != value


def test_every_key_field_tells_scores_apart():
    """One that was forgotten in `==` or in the table would let a score be taken for another."""
    other = {"guidance": "cfg:begin=0,end=1,weight=2", "nfe": None, "n": None}
    for name in KEY_COLUMNS:
        old = getattr(key(), name)
        changed = replace(key(), **{name: other.get(name, old + ("x" if isinstance(old, str) else 1))})
        assert changed != key()
        (again,) = read_scores(write_scores([replace(scored(), key=changed)]))
        assert again.key == changed


def test_the_table_has_a_column_for_each_field_and_a_dash_for_nothing():
    one = replace(
        scored(), key=replace(key(), nfe=None, grid=NOTHING, n=None, n_real=None, sampling_seed=None)
    )
    (row,) = csv.DictReader(io.StringIO(write_scores([one])))
    assert tuple(row) == SCORE_COLUMNS == tuple(one.row())
    assert [name for name, text in row.items() if text == NOTHING] == [
        "nfe",
        "grid",
        "n",
        "n_real",
        "sampling_seed",
    ]
    assert (row["value"], row["guidance"], row["tokens"]) == ("2.5", "cfg:begin=0,end=1,weight=1", "trained")


# Tables of before


def test_a_table_of_before_some_columns_has_their_neutral_values():
    first, second = read_scores(OLD)
    neutral = {"tokens": "trained", "extrapolation": "none", "classes": "data"}
    assert first.key == ScoreKey(
        arm="rope2d:theta=100", seed=0, train_step=10, sampler="euler:grid=uniform,steps=4",
        guidance="cfg:begin=0,end=1,weight=1", nfe=4.0, grid="uniform", ema="0.9", extractor="digits",
        metric="fd_digits", n=50, n_real=1437, sampling_seed=0, **neutral,
    )  # fmt: skip
    assert (first.value, first.better, first.real_floor) == (23.97366032681862, "lower", 2.709319984477355)
    assert (first.images_sha256, first.reference_sha256, first.extractor_sha256) == ("41a3", "1288", "567e")
    assert (first.sampling_seconds, first.time) == (0.042, 1795627167.2373707)
    assert second.key == ScoreKey(
        arm="learned:std=0.02+rope2d:theta=100", seed=3, train_step=20, ema="0.9", extractor="digits",
        sampler="dopri5:atol=0.0001,rtol=0.0001", grid=NOTHING, guidance="cfg:begin=0.2,end=0.9,weight=3",
        nfe=61.5, metric="kid_digits", n=100, n_real=1437, sampling_seed=2, **neutral,
    )  # fmt: skip
    assert (second.value, second.real_floor) == (-0.009570188522338867, 1e-05)


def test_a_table_of_before_written_anew_says_the_same():
    assert read_scores(write_scores(read_scores(OLD))) == read_scores(OLD)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1", "cfg:begin=0,end=1,weight=1"),
        ("3", "cfg:begin=0,end=1,weight=3"),
        ("3-0.2to0.9", "cfg:begin=0.2,end=0.9,weight=3"),
        ("3-1e-05to0.9", "cfg:begin=1e-05,end=0.9,weight=3"),
        ('"cfg:weight=3,end=0.90"', "cfg:begin=0,end=0.9,weight=3"),
        ("cfg:weight=1", "cfg:begin=0,end=1,weight=1"),
        ("of_a_plug_in:w=3", "of_a_plug_in:w=3"),
        ("", NOTHING),
        (NOTHING, NOTHING),
    ],
)
def test_guidance_of_any_time_is_read_as_one_text(written, read):
    table = OLD.replace('steps=4",1,', f'steps=4",{written},')
    assert read_scores(table)[0].key.guidance == read


# Damage


def test_an_empty_file_has_no_scores():
    assert read_scores("") == read_scores(OLD.splitlines()[0]) == []


@pytest.mark.parametrize("column", [name for name in OLD.splitlines()[0].split(",")])
def test_a_column_that_was_always_there_must_be(column):
    with pytest.raises(KeyError, match=column):
        read_scores(OLD.replace(column, "other", 1))


@pytest.mark.parametrize(
    ("good", "bad", "error"),
    [
        (",50,1437", ",fifty,1437", ValueError),
        ("23.97366032681862", "", ValueError),
        ("23.97366032681862", NOTHING, ValueError),
        (",1,4.0", ",-1,4.0", UserError),
        (",1,4.0", ",cfg:strength=2,4.0", UserError),
        (",1795627168.0", "", KeyError),
    ],
)
def test_a_damaged_row_is_an_error(good, bad, error):
    assert good in OLD
    with pytest.raises(error):
        read_scores(OLD.replace(good, bad))
