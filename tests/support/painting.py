"""Folders of pictures for the tests of data sets, and what a refusal of them must look like."""

import contextlib

import numpy as np
import pytest
from PIL import Image

from experiments.config.run import DataConfig
from experiments.datasets import load
from rope_dit.errors import UserError


@pytest.fixture(name="cache_folder", autouse=True)
def cache_folder_fixture(tmp_path, monkeypatch):
    """Where this test alone keeps decoded pictures."""
    monkeypatch.setenv("ROPE_DIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@contextlib.contextmanager
def no_network():
    """A network in which nobody answers."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy"):
            patch.setenv(name, "http://127.0.0.1:9")  # nothing listens there: refused at once
        patch.setenv("no_proxy", "")
        patch.setattr("urllib.request._opener", None)  # it would keep the proxies of its first use
        yield


@pytest.fixture(name="no_network")
def no_network_fixture():
    """As `no_network`, for a whole test."""
    with no_network():
        yield


@pytest.fixture(name="root")
def root_fixture(tmp_path):
    """Folder of the pictures, not made yet."""
    return tmp_path / "pictures"


def noise(seed, *shape):
    """Random bytes of a shape."""
    return np.random.Generator(np.random.PCG64(seed)).integers(0, 256, shape, dtype=np.uint8)


def paint(path, pixels=None, seed=0, **options):
    """Save [H, W] or [H, W, C] pixels, or 6x8 noise, as the picture `path`, and return the pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = noise(seed, 6, 8, 3) if pixels is None else pixels
    Image.fromarray(pixels).save(path, **options)
    return pixels


def paint_classes(root, counts, suffix=".png"):
    """Fill class folders with so many pictures each."""
    for i, (name, count) in enumerate(counts.items()):
        for j in range(count):
            paint(root / name / f"{j}{suffix}", seed=100 * i + j)


def folder(root, **settings):
    """Load a folder of pictures."""
    return load(DataConfig(name=f"folder:{root}", **settings))


def refusal(build, *args, **kwargs):
    """The UserError of a call, whose first line must be one short line."""
    with pytest.raises(UserError) as caught:
        build(*args, **kwargs)
    assert len(str(caught.value)) <= 200
    assert all(line.isprintable() for line in (str(caught.value), *caught.value.details))
    return caught.value


def folder_lines(error):
    """What a refusal says of each picture or folder."""
    return dict(line.split(": ", 1) for line in error.details)


def flipped(data, position):
    """Bytes of which one has all bits turned over."""
    return data[:position] + bytes([data[position] ^ 255]) + data[position + 1 :]
