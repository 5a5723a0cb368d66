"""How a run stands once `evaluate` has scored it, in its folder and in the store alike."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import call, copy_fixture, finished_fixture, work_elsewhere  # noqa: F401
from test_endings import ending, tracked

from experiments.records.run_folder import Ending, RunFolder

FAILED = Ending("FAILED", "error", "OSError: the disk was full")


@pytest.fixture
def unscored(copy: Path) -> Path:
    """A run whose scoring failed after its training."""
    (copy / "scores.csv").unlink()
    RunFolder(copy).end(FAILED)
    return copy


def test_what_it_lacked_ends_it(unscored):
    assert call("evaluate", "run").code == 0
    assert ending(unscored) == Ending("FINISHED", "finished")
    assert tracked("run") == ("FINISHED", "finished")


@pytest.mark.parametrize("args", [("--samplers", "rk4:steps=1"), ("--n", "50")])
def test_other_scores_do_not(unscored, args):
    assert call("evaluate", "run", *args).code == 0
    assert ending(unscored) == FAILED
    assert tracked("run") == ("FAILED", "error")


def test_one_that_died_without_a_word_stays_so(unscored):
    RunFolder(unscored).begin()
    assert call("evaluate", "run", "--samplers", "rk4:steps=1").code == 0
    assert ending(unscored) is None
    assert tracked("run") == ("KILLED", "killed")


@pytest.fixture
def read_only(copy: Path) -> Iterator[Path]:
    """A finished run where nothing can be written, even by root."""
    bind = ["mount", "--bind", "-o", "ro", copy, copy]
    if subprocess.run(bind, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("only root may mount")
    yield copy
    subprocess.run(["umount", "-l", copy], check=True)


def test_a_run_on_a_read_only_disk_is_sampled(read_only):
    result = call("sample", read_only, "--n", "10", "--out", "x.npz")
    assert (result.code, result.err) == (0, "")
    assert Path("x.npz").exists()


def test_and_not_evaluated(read_only):
    result = call("evaluate", read_only)
    assert result.code == 2
    assert "run is no folder that can be written" in result.err
