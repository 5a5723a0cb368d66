"""The table of scores: to the bit and back, of this version and of those before, and damaged."""

import csv
import io
import re
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
    SEAL,
    Score,
    ScoreKey,
    is_sealed,
    read_scores,
    write_scores,
)
from rope_dit.guidance.spec import GuidanceSpec

ID = "a" * 32
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
    key=KEYS, value=NUMBERS, better=TEXTS, real_floor=optional(NUMBERS), floor_n=optional(st.integers(0)),
    untrained=optional(NUMBERS), held_out=optional(NUMBERS), held_out_floor=optional(NUMBERS),
    images_sha256=TEXTS, reference_sha256=TEXTS, extractor_sha256=TEXTS, sampling_seconds=NUMBERS,
    time=NUMBERS,
)  # fmt: skip


def bits(score: Score) -> list[object]:
    """All values, numbers with a point by their bits."""
    return [
        struct.pack("d", v) if isinstance(v, float) else v for v in (*astuple(score.key), *astuple(score)[1:])
    ]


@given(st.lists(SCORES, min_size=1, max_size=4))
def test_scores_written_and_read_are_the_same_to_the_bit(scores):
    again = read_scores(write_scores(scores, ID), ID)
    assert again == scores
    assert [bits(score) for score in again] == [bits(score) for score in scores]
    assert write_scores(again, ID) == write_scores(scores, ID)


def test_a_number_that_is_none_is_kept_too():
    value = read_scores(write_scores([scored(float("nan"))], ID), ID)[0].value
    assert value != value


def test_every_key_field_tells_scores_apart():
    """One that was forgotten in `==` or in the table would let a score be taken for another."""
    other = {"guidance": "cfg:begin=0,end=1,weight=2", "nfe": None, "n": None}
    for name in KEY_COLUMNS:
        old = getattr(key(), name)
        changed = replace(key(), **{name: other.get(name, old + ("x" if isinstance(old, str) else 1))})
        assert changed != key()
        (again,) = read_scores(write_scores([replace(scored(), key=changed)], ID), ID)
        assert again.key == changed


def test_the_table_has_a_column_for_each_field_and_a_dash_for_nothing():
    nothing = replace(key(), nfe=None, grid=NOTHING, n=None, n_real=None, sampling_seed=None)
    one = replace(scored(), key=nothing, real_floor=None)
    (row,) = csv.DictReader(io.StringIO(write_scores([one], ID)))
    assert tuple(row) == (*SCORE_COLUMNS, SEAL)
    assert tuple(one.row()) == SCORE_COLUMNS
    assert [name for name, text in row.items() if text == NOTHING] == [
        "nfe",
        "grid",
        "n",
        "n_real",
        "sampling_seed",
        "real_floor",
        "floor_n",
        "untrained",
        "held_out",
        "held_out_floor",
    ]
    assert (row["value"], row["guidance"], row["tokens"]) == ("2.5", "cfg:begin=0,end=1,weight=1", "trained")


# Tables of before


def test_a_table_of_before_some_columns_has_their_neutral_values():
    first, second = read_scores(OLD, ID)
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
    later = ("floor_n", "untrained", "held_out", "held_out_floor")
    assert all(getattr(score, name) is None for score in (first, second) for name in later)


def test_a_table_of_before_written_anew_says_the_same():
    assert read_scores(write_scores(read_scores(OLD, ID), ID), ID) == read_scores(OLD, ID)


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
    assert read_scores(table, ID)[0].key.guidance == read


# Damage


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "it has no rows"),
        (OLD.splitlines()[0], "it has no rows"),
        ("\ufeff" + OLD, "it begins with a byte order mark"),
        (OLD.replace("digits", "dig\0ts", 1), "it holds NUL characters"),
        (OLD.replace(",", ";"), "it has no column arm"),
        (
            OLD.replace("time\n", "time,n\n").replace("7\n", "7,1\n").replace("8.0\n", "8.0,1\n"),
            "it has a column twice",
        ),
        (OLD[:-25], "row 2 has 18 of 21 fields"),
        (OLD[:-5], "its last row is cut"),
        (OLD[:-7] + ",1\n", "row 2 has 22 of 21 fields"),
        (OLD.replace('"dopri5', '"' + "x" * 200_000 + "dopri5"), "field larger than field limit"),
        (OLD + '"half', "unexpected end of data"),
    ],
)
def test_what_is_no_whole_table_is_said(content, says):
    with pytest.raises(ValueError, match=says):
        read_scores(content, ID)


@pytest.mark.parametrize("column", [name for name in OLD.splitlines()[0].split(",")])
def test_a_column_that_was_always_there_must_be(column):
    with pytest.raises(ValueError, match=f"it has no column {column}"):
        read_scores(re.sub(rf"\b{column}\b", "other", OLD, count=1), ID)


@pytest.mark.parametrize(
    ("good", "bad", "says"),
    [
        (",50,1437", ",fifty,1437", "row 1: invalid literal"),
        ("23.97366032681862", "", "row 1: could not convert"),
        ("23.97366032681862", NOTHING, "row 1: could not convert"),
        (",1,4.0", ",-1,4.0", "row 1: spec '-1'"),
        (",1,4.0", ",cfg:strength=2,4.0", "row 1: .*strength"),
        (",1795627168.0", "", "row 2 has 20 of 21 fields"),
    ],
)
def test_a_damaged_row_is_an_error(good, bad, says):
    assert good in OLD
    with pytest.raises(ValueError, match=says):
        read_scores(OLD.replace(good, bad), ID)


# What was changed


def written() -> list[list[str]]:
    scores = [scored(1.5), scored(2.5, n=50), scored(0.1, metric="kid_digits")]
    return list(csv.reader(io.StringIO(write_scores(scores, ID))))


def text_of(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue()


def edited(row: int, column: str, value: str) -> list[list[str]]:
    rows = written()
    assert rows[row][rows[0].index(column)] != value
    rows[row][rows[0].index(column)] = value
    return rows


@pytest.mark.parametrize(
    "rows",
    [
        *(edited(2, column, "0.001") for column in ("value", "real_floor", "time", "sampling_seconds")),
        edited(1, "arm", "learned:std=0.02"),
        edited(1, "metric", "fd_other"),
        edited(3, "images_sha256", "b"),
        edited(2, SEAL, "0" * 64),
        written()[:3],
        [written()[0], *written()[2:]],
        [*written(), written()[1]],
        [written()[0], *reversed(written()[1:])],
    ],
)
def test_a_changed_row_one_less_one_more_and_another_order_are_noticed(rows):
    assert len(read_scores(text_of(written()), ID)) == 3  # other quotes and line breaks say the same
    with pytest.raises(ValueError, match="was changed after it was written or is another run's"):
        read_scores(text_of(rows), ID)


def test_the_table_of_another_run_is_not_believed():
    with pytest.raises(ValueError, match="is another run's"):
        read_scores(write_scores([scored()], ID), "b" * 32)


def test_tables_of_before_tell_that_they_have_no_sha256():
    assert not is_sealed(OLD)
    assert is_sealed(write_scores(read_scores(OLD, ID), ID))


def test_an_earlier_version_reads_the_same_rows():
    """It looks columns up by name, and knows none that is called so."""
    one = replace(scored(), floor_n=360, untrained=25.5, held_out=3.5, held_out_floor=0.75)
    for row in csv.DictReader(io.StringIO(write_scores([one], ID))):
        assert {name: row[name] for name in SCORE_COLUMNS} == {
            name: str(value) for name, value in one.row().items()
        }
