"""A disk that takes no more: every error names the file that could not be written."""

import resource
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import fork, wait

from experiments.records.run_folder import RunFolder
from experiments.runner.write_samples import write


def failing(work: Callable[[], object], most_bytes: int = 0) -> int:
    """Do `work` in a process that may write no file longer than so many bytes, and print what it raises."""

    def limited() -> int:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
        with pytest.raises(OSError, match="File too large") as caught:
            work()
        return len(str(caught.value.filename or "")) % 256

    return wait(fork(limited))


def lock(folder: RunFolder) -> None:
    with folder.lock():
        pass


def test_what_says_who_holds_the_lock(tmp_path):
    assert failing(lambda: lock(RunFolder(tmp_path))) == len(str(tmp_path / "owner")) % 256


def test_the_curves(tmp_path):
    folder = RunFolder(tmp_path)
    assert failing(lambda: folder.log(1, {"loss": 1.0})) == len(str(tmp_path / "metrics.jsonl")) % 256


def test_sampled_pictures_of_which_none_is_left(tmp_path):
    pixels = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (3, 32, 32, 3), np.uint8)
    pixels[0] = 0  # a small file, which the disk takes
    labels = np.zeros(3, np.int64)
    out = Path(tmp_path / "pictures")
    assert failing(lambda: write(out, pixels, labels), 1000) == len(str(out)) % 256
    assert not list(tmp_path.iterdir())
