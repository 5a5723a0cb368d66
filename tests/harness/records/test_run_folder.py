"""The run folder after kills, with owners alive and dead, and with files that are not its own."""

import fcntl
import json
import logging
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from experiments.config.canonical import canonical
from experiments.config.presets import PRESETS
from experiments.records import run_folder as runfolder
from experiments.records.run_folder import RunFolder
from experiments.records.seal import sealed
from rope_dit.errors import UserError

IDENTITY = {"seed": "0", "train.lr": "0.002"}
HOLD = """
import sys, time
from pathlib import Path
from experiments.records.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).lock():
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path / "run")
    made.path.mkdir()
    made.create(IDENTITY, PRESETS["smoke"], {"inputs_sha256": "0"}, {"device": "cpu"})
    made.open_metrics(0)
    return made


def log(folder: RunFolder, *steps: int) -> None:
    for step in steps:
        folder.log(step, {"train/loss": 1 / step, "train/lr": 0.5})


def reopened(folder: RunFolder, step: int) -> RunFolder:
    again = RunFolder(folder.path)
    again.open_metrics(step)
    return again


def config(folder: RunFolder) -> dict:
    """What config.json says, without its SHA-256, as an earlier version would write it."""
    written = json.loads((folder.path / "config.json").read_text())
    del written["sha256"]
    return written


def metrics(folder: RunFolder) -> bytes:
    return (folder.path / "metrics.jsonl").read_bytes()


def holder(path, seconds: float) -> subprocess.Popen:
    """A process that holds the lock of `path`."""
    command = [sys.executable, "-c", HOLD, str(path), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def stop(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
    process.stdout.close()


# config.json


def test_what_was_created_is_read_back(folder):
    record = folder.record
    assert record.identity == IDENTITY
    assert record.settings == canonical(PRESETS["smoke"])
    assert record.config["variant"] == "rope2d"  # as it was asked for
    assert (record.pairing, record.origin) == ({"inputs_sha256": "0"}, {"device": "cpu"})
    assert re.fullmatch("[0-9a-f]{32}", record.id)
    assert abs(record.created - time.time()) < 60


def test_there_is_no_record_before_a_run_was_created(tmp_path):
    assert RunFolder(tmp_path).record is None
    assert RunFolder(tmp_path / "nowhere").record is None


def test_a_record_of_another_version_is_read_as_far_as_it_is_known(folder):
    """Settings that it does not know are at their neutral or default values; what is new there counts not."""
    written = config(folder)
    del written["config"]["eval"]["chunk"], written["config"]["arm"]
    (folder.path / "config.json").write_text(json.dumps(sealed(written | {"new": 1})))
    expected = replace(PRESETS["smoke"], eval=replace(PRESETS["smoke"].eval, chunk=250))
    assert folder.record.settings == canonical(expected)


def test_settings_that_cannot_be_read_are_an_error_only_for_whoever_wants_them(folder):
    written = config(folder)
    written["config"]["train"]["momentum"] = 0.9
    (folder.path / "config.json").write_text(json.dumps(written))
    assert folder.record.identity == IDENTITY
    with pytest.raises(UserError, match="of another version: TrainConfig has no 'momentum'"):
        folder.record.settings  # noqa: B018


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"id": 1}', b"[]", b"null", b"\xff\xfe", b'{"model_type": "bert"}',
     b'{"id": "", "created": 0, "pairing": {}, "origin": {}, "identity": [], "config": {}}'],
)  # fmt: skip
def test_a_config_that_is_not_ours_is_named(folder, content):
    (folder.path / "config.json").write_bytes(content)
    with pytest.raises(UserError, match=r"config\.json (is damaged|was not written by this program)"):
        folder.check_free_for(IDENTITY)


def test_another_run_is_refused_with_the_fields_that_differ(folder):
    folder.check_free_for(dict(IDENTITY))
    with pytest.raises(UserError, match="holds another run") as caught:
        folder.check_free_for({"seed": "1", "train.lr": "0.002", "train.clip": "1.0"})
    assert caught.value.details == ("seed: there 0, now 1", "train.clip: there -, now 1.0")


def test_a_run_of_before_items_had_versions_is_the_same(folder):
    """Source hashes of files that shipped say nothing any more; of others they do."""
    written = config(folder)
    for sha256, free in (("6a6a3363ecd56996" + 48 * "0", True), (64 * "0", False)):
        old = {**IDENTITY, "variant": "rope2d:theta=100", "variant source": sha256}
        (folder.path / "config.json").write_text(json.dumps(written | {"identity": old}))
        if free:
            folder.check_free_for(IDENTITY | {"variant": "rope2d:theta=100"})
        else:
            with pytest.raises(UserError, match="holds another run") as caught:
                folder.check_free_for(IDENTITY | {"variant": "rope2d:theta=100"})
            assert caught.value.details[0] == f"variant source: there {sha256}, now -"
            assert "python -m experiments.runner.migrate" in caught.value.details[1]


def test_only_an_empty_folder_is_free(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file"):
        RunFolder(tmp_path / "file").check_free_for(IDENTITY)
    with pytest.raises(UserError, match="holds files but no run"):
        RunFolder(tmp_path).check_free_for(IDENTITY)
    RunFolder(tmp_path / "new").check_free_for(IDENTITY)


def test_a_kill_while_the_run_was_being_created_leaves_the_folder_free(tmp_path):
    with RunFolder(tmp_path).lock():
        pass
    (tmp_path / ".tmp-123-config.json").touch()
    RunFolder(tmp_path).check_free_for(IDENTITY)


# metrics.jsonl


@pytest.mark.parametrize("cut", range(1, 41))
def test_a_torn_last_line_is_dropped(folder, cut):
    log(folder, 5, 10, 15)
    whole = metrics(folder)
    (folder.path / "metrics.jsonl").write_bytes(whole[:-cut])
    again = reopened(folder, 15)
    kept = [5, 10, 15] if cut == 1 else [5, 10]  # without its line break a line still has all it had
    assert sorted({step for _, step, _, _ in again.points()}) == kept
    log(again, 15, 20)
    log(folder, 20)
    assert [json.loads(line)["step"] for line in metrics(again).splitlines()[:4]] == [5, 10, 15, 20]
    assert [p[:3] for p in again.points()] == [p[:3] for p in folder.points()]


@pytest.mark.parametrize("step", [0, 4, 5, 12, 15, 99])
def test_rows_past_the_checkpoint_are_cut_and_come_again(folder, step):
    log(folder, 5, 10, 15)
    whole = metrics(folder)
    again = reopened(folder, step)
    kept = [s for s in (5, 10, 15) if s <= step]
    assert metrics(again) == b"".join(whole.splitlines(keepends=True)[: len(kept)])
    log(again, *[s for s in (5, 10, 15) if s > step])
    assert [p[:3] for p in again.points()] == [p[:3] for p in folder.points()]


def test_damaged_lines_in_the_middle_are_left_out_and_said(folder, caplog):
    log(folder, 5, 10, 15, 20)
    lines = metrics(folder).splitlines(keepends=True)
    lines[1], lines[2] = b"\0" * 40 + b"\n", b"[1, 2]\n"
    (folder.path / "metrics.jsonl").write_bytes(b"".join(lines))
    again = reopened(folder, 20)
    assert sorted({step for _, step, _, _ in again.points()}) == [5, 20]
    assert metrics(again) == lines[0] + lines[3]
    assert [(r.levelno, "2 damaged lines" in r.getMessage()) for r in caplog.records] == [
        (logging.WARNING, True)
    ]


def test_a_whole_file_is_not_written_again(folder):
    log(folder, 5, 10)
    before = os.stat(folder.path / "metrics.jsonl")
    reopened(folder, 10)
    after = os.stat(folder.path / "metrics.jsonl")
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_the_first_value_of_a_step_stays(folder):
    folder.log(5, {"a": 1.0})
    folder.log(5, {"a": 2.0, "b": 3.0})
    folder.log(5, {"a": 4.0})
    assert [p[:3] for p in reopened(folder, 5).points()] == [("a", 5, 1.0), ("b", 5, 3.0)]
    assert metrics(folder).count(b"\n") == 2


def test_only_finite_values_are_logged(folder):
    folder.log(5, {"a": math.inf, "b": -math.inf, "c": math.nan})
    folder.log(6, {"a": math.inf, "d": 1.0})
    assert [p[:3] for p in reopened(folder, 6).points()] == [("d", 6, 1.0)]


def test_leftovers_of_a_kill_are_removed(folder):
    for name in (".tmp-1-config.json", "pictures/.tmp-2-a.png", "samples/.tmp-3-b.safetensors"):
        (folder.path / name).parent.mkdir(exist_ok=True)
        (folder.path / name).write_bytes(b"half")
    (folder.path / "pictures" / "whole.png").write_bytes(b"whole")
    reopened(folder, 0)
    assert [p.name for p in folder.path.rglob("*") if p.name.startswith(".tmp")] == []
    assert (folder.path / "pictures" / "whole.png").exists()


# the lock


def test_a_lock_keeps_other_processes_out_until_it_is_let_go(folder, monkeypatch):
    monkeypatch.setattr(runfolder, "LOCK_SECONDS", 0.1)
    assert not folder.is_locked()
    other = holder(folder.path, 600)
    assert folder.is_locked()
    with pytest.raises(UserError, match=f"is locked by process {other.pid} on "), folder.lock():
        pass
    os.kill(other.pid, signal.SIGKILL)
    stop(other)
    assert not folder.is_locked()
    with folder.lock():
        assert folder.is_locked()
        assert f"process {os.getpid()} on" in (folder.path / "owner").read_text()
    assert not folder.is_locked()


def test_a_folder_is_made_to_be_held(tmp_path, monkeypatch):
    monkeypatch.setattr(runfolder, "LOCK_SECONDS", 0.1)
    folder = RunFolder(tmp_path / "not" / "yet")
    with folder.held():
        assert folder.is_locked()
        with pytest.raises(UserError, match="is locked by"), RunFolder(folder.path).held():
            pass
    assert not folder.is_locked()


def test_a_folder_that_cannot_be_made_is_the_user_s_mistake(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run", tmp_path / ("x" * 300)):
        with pytest.raises(UserError, match=r"run folder .*; choose another --runs or --out"):
            with RunFolder(path).held():
                pass


def test_two_runs_in_one_process_do_not_share_a_folder(folder, monkeypatch):
    monkeypatch.setattr(runfolder, "LOCK_SECONDS", 0.1)
    with folder.lock(), pytest.raises(UserError, match="is locked by"), RunFolder(folder.path).lock():
        pass


def test_a_question_whether_the_lock_is_held_keeps_nobody_out(folder):
    asked, done = [], threading.Event()

    def ask() -> None:
        while not done.is_set():
            asked.append(folder.is_locked())

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        for _ in range(200):
            with folder.lock():
                pass
    finally:
        done.set()
        asker.join()
    assert set(asked) == {True, False}


def test_many_may_ask_at_the_same_time(folder):
    with folder.lock():
        pass
    with open(folder.path / "lock") as other:  # somebody who is just asking
        fcntl.flock(other, fcntl.LOCK_SH)
        assert not folder.is_locked()


def test_a_folder_without_a_lock_is_not_locked(tmp_path):
    assert not RunFolder(tmp_path / "nowhere").is_locked()
