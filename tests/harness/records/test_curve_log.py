"""Rows of metrics.jsonl that were cut, edited, removed or come from elsewhere: named, never in the way."""

import json
import logging
import os
from pathlib import Path

import pytest
from mirrors import client_fixture, log, make_run, mirror, points, runs, tables_fixture  # noqa: F401

from experiments.records.run_folder import RunFolder

STEPS = (5, 10, 15, 20)


@pytest.fixture
def folder(tmp_path):
    made = make_run(tmp_path / "run")
    log(made, *STEPS)
    return made


def lines(folder: RunFolder) -> list[bytes]:
    return (folder.path / "metrics.jsonl").read_bytes().splitlines(keepends=True)


def opened(folder: RunFolder, content: list[bytes], logged: int = 20) -> list[int]:
    """Steps of the rows that are believed."""
    (folder.path / "metrics.jsonl").write_bytes(b"".join(content))
    again = RunFolder(folder.path)
    again.open_metrics(20, logged)
    return sorted({step for _, step, _, _ in again.points()})


def edited(line: bytes, **changes: object) -> bytes:
    return json.dumps(json.loads(line) | changes).encode() + b"\n"


def said(caplog) -> str:
    """The one warning; none is an empty text."""
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    assert len(caplog.records) <= 1
    return "".join(record.getMessage() for record in caplog.records)


def test_a_whole_file_is_read_without_a_word(folder, caplog):
    assert opened(folder, lines(folder)) == [*STEPS]
    assert said(caplog) == ""


@pytest.mark.parametrize(
    ("kept", "says"),
    [
        ([], "4 rows of steps 1 to 20 are missing"),
        ([0], "3 rows of steps 6 to 20 are missing"),
        ([0, 1, 2], "1 row of steps 16 to 20 is missing"),
        ([3], "3 rows of steps 1 to 19 are missing"),
        ([0, 2, 3], "1 row of steps 6 to 14 is missing"),
        ([1, 3], "1 row of steps 1 to 9 is missing; 1 row of steps 11 to 19 is missing"),
    ],
)
def test_rows_that_are_missing_are_counted_and_named(folder, caplog, kept, says):
    whole = lines(folder)
    assert opened(folder, [whole[i] for i in kept]) == [STEPS[i] for i in kept]
    assert f"metrics.jsonl: {says}; the run goes on without" in said(caplog)


def test_what_was_changed_at_the_end_is_not_missed_as_well(folder, caplog):
    whole = lines(folder)
    assert opened(folder, [*whole[:2], edited(whole[2], time=1.0), edited(whole[3], time=1.0)]) == [5, 10]
    assert said(caplog).endswith("metrics.jsonl: 2 changed rows are left out; the run goes on without")
    caplog.clear()
    assert opened(folder, [whole[0], edited(whole[3], time=1.0)]) == [5]
    assert "1 changed row is left out; 2 rows of steps 6 to 20 are missing;" in said(caplog)


def test_rows_behind_the_checkpoint_are_not_missed(folder, caplog):
    """They come again; and a checkpoint may be older than the last row."""
    assert opened(folder, lines(folder)[:2], logged=10) == [5, 10]
    assert said(caplog) == ""


def test_a_file_that_is_gone_is_missed_too(folder, caplog):
    (folder.path / "metrics.jsonl").unlink()
    RunFolder(folder.path).open_metrics(20, 20)
    assert "4 rows of steps 1 to 20 are missing" in said(caplog)


@pytest.mark.parametrize(
    "change",
    [{"values": {"train/loss": 0.001}}, {"step": 11}, {"time": 1.0}, {"row": 0}, {"sha256": "0" * 16}],
)
def test_an_edited_row_is_left_out_and_named(folder, caplog, change):
    whole = lines(folder)
    assert opened(folder, [whole[0], edited(whole[1], **change), *whole[2:]]) == [5, 15, 20]
    assert said(caplog).startswith(f"{folder.path}/metrics.jsonl: 1 changed row is left out; the run")


def test_rows_of_another_run_and_rows_that_stand_twice_are_left_out(folder, caplog, tmp_path):
    other = make_run(tmp_path / "other")
    log(other, *STEPS)
    assert opened(folder, lines(other), logged=0) == []
    assert "4 changed rows are left out" in said(caplog)
    caplog.clear()
    log(again := make_run(tmp_path / "again"), *STEPS)
    whole = lines(again)
    assert opened(again, [*whole, whole[1]]) == [*STEPS]
    assert "1 changed row is left out" in said(caplog)


def test_a_run_goes_on_counting_where_rows_were_cut(folder, caplog):
    whole = lines(folder)
    (folder.path / "metrics.jsonl").write_bytes(b"".join(whole[:2]))
    again = RunFolder(folder.path)
    again.open_metrics(10, 10)
    log(again, 15, 20)
    assert opened(folder, lines(folder)) == [*STEPS]
    assert said(caplog) == ""
    assert [json.loads(line)["row"] for line in lines(folder)] == [0, 1, 2, 3]


def test_rows_of_an_earlier_version_are_read_said_to_have_no_sha256_and_followed(folder, caplog):
    old = [json.loads(line) for line in lines(folder)[:2]]
    for row in old:
        del row["row"], row["sha256"]
    content = [json.dumps(row).encode() + b"\n" for row in old]
    assert opened(folder, content, logged=10) == [5, 10]
    assert "metrics.jsonl without a SHA-256, as an earlier version wrote it" in said(caplog)
    assert lines(folder) == content
    again = RunFolder(folder.path)
    again.open_metrics(10, 10)
    log(again, 15, 20)
    assert lines(folder)[:2] == content
    assert opened(folder, lines(folder)) == [*STEPS]
    caplog.clear()
    assert opened(folder, [*content, lines(folder)[3]]) == [5, 10, 20]
    assert "1 row of steps 11 to 19 is missing" in caplog.records[0].getMessage()


BAD = [
    '{"step": 3, "time": 1e9, "values": {"train/loss": "low"}}',
    '{"step": 3, "time": 1e9, "values": {"train/loss": [1.0]}}',
    '{"step": 3, "time": 1e9, "values": {"train/loss": {"a": 1}}}',
    '{"step": 3, "time": 1e9, "values": {"train/loss": null}}',
    '{"step": 3, "time": 1e9, "values": {"train/loss": true}}',
    '{"step": 3, "time": 1e9, "values": {"train/loss": NaN}}',
    '{"step": 3, "time": 1e9, "values": {"train/loss": 1' + 400 * "0" + "}}",
    '{"step": 3, "time": 1e9, "values": {"train/\\ud800": 1.0}}',
    '{"step": 3, "time": 1e9, "values": 5}',
    *('{"step": 3, "time": ' + time + ', "values": {"a": 1.0}}'
      for time in ("Infinity", "NaN", "-1.0", "1e300", "true", '"now"', "null")),
    *('{"step": ' + step + ', "time": 1e9, "values": {"a": 1.0}}'
      for step in ("-1", "true", "3.0", "1e3", '"3"', "9223372036854775808", "1" + 400 * "0")),
    "[" * 100_000,
    "null", "[]", "{}", "\x00",
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_what_no_store_would_take_is_left_out_counted_and_named(folder, caplog, bad):
    whole = lines(folder)
    assert opened(folder, [whole[0], bad.encode() + b"\n", *whole[1:]]) == [*STEPS]
    assert "1 damaged line is left out" in said(caplog)


def test_what_no_store_would_take_does_not_keep_the_rest_from_it(folder, client, caplog):
    content = "".join(line + "\n" for line in BAD).encode()
    (folder.path / "metrics.jsonl").write_bytes(content + b"".join(lines(folder)))
    folder.open_metrics(20)
    made = mirror(folder)
    assert made.close("FINISHED", "finished"), made.error
    stored = points(client, runs(client)["run"])
    assert {step for key, step, _ in stored if key == "train/loss"} == {*STEPS}


def test_rows_are_not_added_to_a_file_that_another_name_has_too(folder, tmp_path):
    """As a copy of hard links has, which must stay what it was."""
    os.link(folder.path / "metrics.jsonl", tmp_path / "backup")
    before = (tmp_path / "backup").read_bytes()
    again = RunFolder(folder.path)
    again.open_metrics(20, 20)
    log(again, 25)
    assert len(lines(folder)) == 5
    assert (tmp_path / "backup").read_bytes() == before


def test_a_row_that_cannot_be_written_names_the_file(folder):
    file = Path(folder.path / "metrics.jsonl")
    file.unlink()
    file.symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device: '.*/run/metrics\.jsonl'"):
        folder.log(25, {"train/loss": 1.0})
