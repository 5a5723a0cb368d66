"""What a run will need is tried before its first step: its cache, its disk, its home; or it is said."""

import atexit
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from commands import QUICK, SMOKE, call, copy_fixture, finished_fixture, fork, timeless, wait, work_elsewhere  # noqa: F401

from experiments.cli.home import ensure_home
from experiments.cli.main import StopFlag
from experiments.datasets.image_files.cache import cache_folder
from experiments.records.run_folder import RunFolder
from experiments.runner import execute
from experiments.runner.execute import make_scorer
from experiments.runner.preflight import try_items
from experiments.runner.reopen import open_run, read_config
from experiments.runner.room import bytes_of_samples, check_free, check_room
from experiments.scoring.jobs import final_jobs
from rope_dit.checkpoint import Checkpoints
from rope_dit.errors import UserError


def test_a_cache_that_cannot_be_written_is_done_without(finished, monkeypatch, caplog):
    Path("file").touch()
    monkeypatch.setenv("ROPE_DIT_CACHE", "file/cache")
    result = call("run", *SMOKE, "--out", "run")
    assert result.code == 0, result.err
    (said,) = caplog.messages
    assert "features of real pictures cannot be cached ([Errno 20] Not a directory: 'file/cache" in said
    assert timeless(Path("run")) == timeless(finished)


def test_a_user_without_a_home_has_one_for_the_time_of_the_process():
    if os.getuid():
        pytest.skip("only root can become a user whom this system does not know")

    def work() -> int:
        os.setuid(54321)
        for name in ("HOME", "ROPE_DIT_CACHE", "USER", "LOGNAME"):
            os.environ.pop(name, None)
        with pytest.raises(OSError, match="there is no home folder; set ROPE_DIT_CACHE"):
            cache_folder()
        ensure_home()
        (home := Path.home()).joinpath("written").touch()
        assert cache_folder() == home / ".cache/rope-dit"
        atexit._run_exitfuncs()
        return 7 if not home.exists() else 1

    assert wait(fork(work)) == 7


def test_a_users_own_home_stays():
    before = dict(os.environ)
    ensure_home()
    assert dict(os.environ) == before


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of 1 MB."""
    Path("disk").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", "disk"], stderr=-3).returncode:
        pytest.skip("only root may mount a disk")
    yield Path("disk")
    subprocess.run(["umount", "-l", "disk"], check=True)


def test_a_disk_that_is_too_small_is_told_before_the_first_step(small_disk):
    result = call("run", *QUICK, "--out", small_disk / "run")
    assert result.code == 2
    assert "error: disk/run: got 1.0 MB of free disk, expected 1." in result.err
    assert "for checkpoints and samples. Free some, or choose another --runs or --out." in result.err
    assert {path.name for path in (small_disk / "run").iterdir()} == {"lock", "owner"}


def test_pictures_that_have_no_room_are_not_made(copy, small_disk):
    result = call("sample", copy, "--n", "20000", "--out", small_disk / "x.npz")
    assert (result.code, result.out) == (2, "")
    assert "expected 1.3 MB for the pictures. Free some, or choose another --out." in result.err


def test_room_is_asked_of_the_disk(tmp_path):
    check_free(tmp_path, 1, "a byte", "--out")
    with pytest.raises(UserError, match=r"expected 1000000000\.0 GB for all there is\. Free some"):
        check_free(tmp_path, 10**18, "all there is", "--out")


def test_sizes_are_those_of_the_files(finished):
    resolved, _ = open_run(read_config(finished))
    checkpoint, features = try_items(resolved)
    (*_, newest) = sorted((finished / "checkpoints").iterdir())
    assert 0.8 < checkpoint / newest.stat().st_size <= 1  # the file has a head, too
    jobs, scorer = final_jobs(resolved.config), make_scorer(resolved, StopFlag())
    samples = bytes_of_samples(scorer.generator, jobs, features)
    chunk = scorer._chunk(jobs[0], 0)
    assert samples == 4 * sum(chunk[name].nbytes for name in ("pictures", "pool", "logits"))


def test_what_lies_there_already_needs_no_more_room(tmp_path):
    folder, free = RunFolder(tmp_path), shutil.disk_usage(tmp_path).free
    checkpoints = Checkpoints(tmp_path / "checkpoints", {})
    check_room(folder, checkpoints, 10**6, 10**6)
    for checkpoint, samples in ((free // 2, 0), (0, free + 10**9)):
        with pytest.raises(UserError, match="for checkpoints and samples"):
            check_room(folder, checkpoints, checkpoint, samples)
    for step in (1, 2):
        checkpoints.save(step, {"a": torch.zeros(1)})
    check_room(folder, checkpoints, free // 2, 0)  # one more is written while two are kept
    (tmp_path / "samples").mkdir()
    with open(tmp_path / "samples/chunk.safetensors", "wb") as file:
        file.truncate(free + 10**9)  # takes no room
    check_room(folder, checkpoints, 1, free + 10**9)


def test_a_finished_run_tries_nothing(copy, monkeypatch):
    monkeypatch.setattr(execute, "try_items", lambda resolved: 1 / 0)
    assert call("run", *SMOKE, "--out", copy).code == 0
    (copy / "scores.csv").unlink()
    with pytest.raises(ZeroDivisionError):
        call("run", *SMOKE, "--out", copy)


def own_metric(body: str) -> None:
    """A plug-in in the folder `own`, whose method does this."""
    Path("own").mkdir()
    text = "from experiments.config.registries import METRICS\n\n\n@METRICS.register('mine')\nclass Mine:\n"
    text += "    'Mine.'\n    values = {'mine': 'lower'}\n    min_images = 2\n\n"
    Path("own/mine.py").write_text(f"{text}    def measure(self, generated, real):\n        {body}\n")


def test_metrics_are_tried_before_anything_is_sampled(copy):
    """By evaluate too: the features of real pictures are there, so that nothing would be made anew."""
    own_metric("return 3")
    result = call("evaluate", copy, "--plugins", "own")
    assert result.code == 2
    assert "metric 'mine' (own/mine.py): AttributeError" in result.err
    assert not (copy / "samples").exists()


def test_a_metric_that_is_no_number_stops_nothing_and_is_named_once(copy, caplog):
    own_metric("return {'mine': float('nan')}")
    result = call("evaluate", copy, "--plugins", "own")
    assert result.code == 0, result.err
    said = "metric mine: mine is nan of the held-out pictures; reports have a dash for it"
    assert [record.getMessage() for record in caplog.records] == [said]
    assert ",mine_digits,100," in (copy / "scores.csv").read_text()
