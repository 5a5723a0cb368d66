"""The cache of decoded pictures: used where it fits, mended where it is damaged, never trusted."""

import os
import resource
import signal
from pathlib import Path

import numpy as np
import pytest
from painting import cache_folder_fixture, flipped, folder, paint, paint_classes, root_fixture  # noqa: F401

from experiments.datasets.base import sha256
from experiments.datasets.image_files import cache


@pytest.fixture
def cached(root, cache_folder):
    """A folder of pictures, its images, and the one file that caching them made."""
    paint_classes(root, {"cat": 4, "dog": 4}, ".bmp")
    images = folder(root)
    (file,) = cache_folder.iterdir()
    return root, images, file


def test_second_load_reads_the_cache(cached, capsys):
    root, images, file = cached
    assert folder(root).fingerprint == images.fingerprint
    black = np.zeros((8, 3, 6, 8), np.uint8), np.full((8, 2), 8)
    cache.write(file.stem, *black)
    assert folder(root).train.max() == 0
    assert capsys.readouterr().err == ""


def test_a_cache_of_another_version_of_decoding_is_left_alone(cached, monkeypatch):
    root, images, file = cached
    cache.write(file.stem, np.zeros((8, 3, 6, 8), np.uint8), np.full((8, 2), 8))
    monkeypatch.setattr("experiments.datasets.folder.FORMAT", 1)
    assert folder(root).fingerprint == images.fingerprint


@pytest.mark.parametrize("position", [0, 8, 20, 100, 140, 200, 260, 300, 340, 383, 384, 500, -1])
def test_a_damaged_cache_is_noticed_and_mended(cached, capsys, position):
    root, images, file = cached
    content = file.read_bytes()
    position %= len(content)
    file.write_bytes(flipped(content, position))
    assert folder(root).fingerprint == images.fingerprint
    assert "not used, but decoded again" in capsys.readouterr().err
    assert file.read_bytes() == content


@pytest.mark.parametrize("length", [0, 5, 100, 300, 400, -1])
def test_a_cut_cache_is_noticed_and_mended(cached, capsys, length):
    root, images, file = cached
    content = file.read_bytes()
    file.write_bytes(content[:length])
    assert folder(root).fingerprint == images.fingerprint
    assert "not used, but decoded again" in capsys.readouterr().err
    assert file.read_bytes() == content


def test_two_files_that_were_swapped_are_noticed(cached, cache_folder, capsys):
    """Each is whole, and would be taken for the other's."""
    root, images, file = cached
    other = folder(root, image_size=4)
    (second,) = set(cache_folder.iterdir()) - {file}
    contents = file.read_bytes(), second.read_bytes()
    file.write_bytes(contents[1])
    second.write_bytes(contents[0])
    assert folder(root).fingerprint == images.fingerprint
    assert folder(root, image_size=4).fingerprint == other.fingerprint
    assert capsys.readouterr().err.count("they belong to another folder") == 2
    assert (file.read_bytes(), second.read_bytes()) == contents


def test_a_file_that_does_not_say_whose_it_is_is_made_again(cached, capsys):
    root, images, file = cached
    content = file.read_bytes()
    with file.open("rb") as opened:
        digest, *arrays = (np.load(opened) for _ in range(3))
    assert sha256(*arrays) == str(digest)
    with file.open("wb") as opened:
        for part in (digest, *arrays):
            np.save(opened, part)
    assert folder(root).fingerprint == images.fingerprint
    assert "an earlier version did not write whose they are" in capsys.readouterr().err
    assert file.read_bytes() == content
    folder(root)
    assert capsys.readouterr().err == ""


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_cache_with_pickled_objects_is_not_opened(cached, capsys, tmp_path):
    root, images, file = cached
    np.save(file, np.array([Trap(tmp_path / "sprung")], dtype=object))
    assert folder(root).fingerprint == images.fingerprint
    assert "not used, but decoded again" in capsys.readouterr().err
    assert not (tmp_path / "sprung").exists()


def test_a_changed_picture_is_noticed_even_at_equal_size_and_time(cached):
    root, images, _ = cached
    path = root / "cat" / "0.bmp"
    before = path.stat()
    paint(path, seed=77)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert folder(root).fingerprint != images.fingerprint


def test_a_cache_belongs_to_one_folder(cached, tmp_path, cache_folder):
    root, images, file = cached
    for path in root.glob("*/*"):  # hard links: names, sizes and times are those of the other folder
        (tmp_path / "copy" / path.parent.name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / path.parent.name / path.name).hardlink_to(path)
    folder(root)
    for file in cache_folder.iterdir():
        cache.write(file.stem, np.zeros((8, 3, 6, 8), np.uint8), np.full((8, 2), 8))
    assert folder(tmp_path / "copy").fingerprint == images.fingerprint


def test_a_renamed_picture_and_another_size_are_noticed(cached, cache_folder):
    root, images, _ = cached
    assert folder(root, image_size=4).train.shape[2:] == (4, 4)
    (root / "cat" / "0.bmp").rename(root / "dog" / "9.bmp")
    assert folder(root).fingerprint != images.fingerprint
    assert len(list(cache_folder.iterdir())) == 3


def test_a_cache_that_cannot_be_written_stops_nothing(root, tmp_path, monkeypatch, capsys):
    paint_classes(root, {"cat": 4})
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ROPE_DIT_CACHE", str(tmp_path / "file"))
    assert len(folder(root).train) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "could not be cached" in line


def test_a_full_disk_stops_nothing_and_leaves_nothing(root, cache_folder, capsys):
    paint_classes(root, {"cat": 4, "dog": 4}, ".bmp")
    size, signals = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, size[1]))
        assert len(folder(root).train) == 6
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, size)
        signal.signal(signal.SIGXFSZ, signals)
    (line,) = capsys.readouterr().err.splitlines()
    assert "could not be cached" in line
    assert not list(cache_folder.iterdir())


def test_the_cache_lies_in_home_by_default(monkeypatch, tmp_path):
    monkeypatch.delenv("ROPE_DIT_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_folder() == Path(tmp_path, ".cache", "rope-dit")
    monkeypatch.setenv("ROPE_DIT_CACHE", "~/mine")
    assert cache.cache_folder() == tmp_path / "mine"
