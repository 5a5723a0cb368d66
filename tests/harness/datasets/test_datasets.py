"""Data sets: what they return, how they split, and what they say where they cannot be had."""

import hashlib
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from painting import cache_folder_fixture, no_network_fixture, noise, refusal  # noqa: F401

from experiments.config.run import DataConfig
from experiments.datasets import Images, load
from experiments.datasets.base import stratified_split

# Images


def example(**changes):
    parts = {"train": noise(1, 4, 1, 2, 3), "train_labels": np.array([0, 1, 1, 0]),
             "held_out": noise(2, 2, 1, 2, 3), "held_out_labels": np.array([1, 0]),
             "classes": ("cat", "dog"), "name": "example"}  # fmt: skip
    return Images(**{**parts, **changes})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"train": noise(1, 4, 1, 2, 3).astype(np.float32)}, "float32"),
        ({"train": noise(1, 4, 2, 3)}, "uint8[4, 2, 3]"),
        ({"held_out": noise(1, 0, 1, 2, 3), "held_out_labels": np.zeros(0, np.int64)}, "not empty"),
        ({"held_out": noise(1, 2, 3, 2, 3)}, "as in train"),
        ({"train_labels": np.array([0, 1, 1])}, "int64[4]"),
        ({"train_labels": np.array([0, 1, 1, 0], np.int32)}, "int32"),
        ({"train_labels": np.array([0, 1, 2, 0])}, "0 to 1"),
        ({"held_out_labels": np.array([-1, 0])}, "0 to 1"),
        ({"classes": ("cat", "cat")}, "each once"),
        ({"classes": ()}, "at least one"),
    ],
)
def test_images_refuses_what_does_not_fit(changes, says):
    assert says in str(refusal(example, **changes))


def test_fingerprint_changes_with_a_pixel_a_label_and_a_class_name():
    base = example()
    changed = {"base": base.fingerprint}
    for part in ("train", "held_out", "train_labels", "held_out_labels"):
        array = getattr(base, part).copy()
        array.flat[0] ^= 1
        changed[part] = replace(base, **{part: array}).fingerprint
    changed["classes"] = replace(base, classes=("cat", "cow")).fingerprint
    changed["order"] = replace(base, classes=("dog", "cat")).fingerprint
    changed["shape"] = replace(
        base, train=base.train.reshape(4, 1, 3, 2), held_out=base.held_out.reshape(2, 1, 3, 2)
    ).fingerprint
    assert len(set(changed.values())) == len(changed), changed
    assert replace(base, name="other").fingerprint == base.fingerprint
    assert example().fingerprint == base.fingerprint


def test_fingerprint_sees_values_not_memory_layout():
    base = example()
    turned = np.asfortranarray(base.train)
    assert replace(base, train=turned).fingerprint == base.fingerprint


# The split


@given(st.lists(st.integers(0, 4), min_size=2, max_size=60), st.floats(0.01, 0.99))
def test_split_is_a_stratified_partition(labels, share):
    labels = np.array(labels)
    train, held_out = stratified_split(labels, round(share * len(labels)))
    assert sorted([*train, *held_out]) == list(range(len(labels)))
    for label in set(labels):
        total, taken = np.sum(labels == label), np.sum(labels[held_out] == label)
        quota = round(share * len(labels)) * total / len(labels)
        assert min(np.floor(quota), total - 1) <= taken <= max(np.ceil(quota), 1)
        assert total == 1 or 1 <= taken < total


def test_split_is_random_within_a_class():
    _, held_out = stratified_split(np.zeros(1000, np.int64), 100)
    assert np.abs(held_out.mean() - 499.5) < 120  # standard error 29
    assert np.ptp(held_out) > 800


# What each takes


@pytest.mark.parametrize("name", ["digits", "cifar10", "cifar100"])
def test_what_has_no_effect_is_refused_before_any_download(name, tmp_path):
    assert "nothing after ':'" in str(refusal(load, DataConfig(name=f"{name}:x", root=tmp_path)))
    assert "image-size" in str(refusal(load, DataConfig(name=name, root=tmp_path, image_size=16)))
    assert "held-out" in str(refusal(load, DataConfig(name=name, root=tmp_path, held_out=0.5)))


def test_unknown_dataset_gets_the_nearest_name():
    assert "Did you mean 'cifar10'?" in str(refusal(load, DataConfig(name="cifar01")))
    assert "Did you mean 'folder'?" in str(refusal(load, DataConfig(name="foldr:/a:b")))


# digits


def test_digits_are_sklearns_split_by_class():
    from sklearn.datasets import load_digits

    data, images = load_digits(), load(DataConfig(name="digits"))
    assert images.train.shape == (1437, 1, 8, 8)
    assert images.held_out.shape == (360, 1, 8, 8)
    assert images.classes == tuple("0123456789")
    pairs = zip(data.target, data.data, strict=True)
    expected = sorted((int(label), bytes(round(v * 255 / 16) for v in row)) for label, row in pairs)
    pixels = np.concatenate([images.train, images.held_out])
    labels = np.concatenate([images.train_labels, images.held_out_labels])
    found = zip(labels, pixels, strict=True)
    assert sorted((int(label), picture.tobytes()) for label, picture in found) == expected
    counts = np.bincount(labels)
    assert np.abs(np.bincount(images.held_out_labels) - counts * 360 / 1797).max() < 1


DIGITS = "128890fb235a88a2fc57663ce012a4d90cb696274f85e2acafced1af4ac22d97"


def test_digits_are_sklearns_to_the_bit_without_importing_it():
    from sklearn.datasets import load_digits

    from experiments.datasets.digits import read_digits

    (values, labels), data = read_digits(), load_digits()
    for ours, theirs in ((values, data.images), (labels, data.target)):
        assert (ours.dtype, ours.shape, ours.tobytes()) == (theirs.dtype, theirs.shape, theirs.tobytes())
    assert [*range(10)] == data.target_names.tolist()
    code = "import sys; from experiments.datasets import load; from experiments.config.run import DataConfig;"
    code += "load(DataConfig()); sys.exit('sklearn' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=100).returncode == 0


def test_digits_never_change():
    # The extractor that comes with the project was trained on this split.
    assert load(DataConfig(name="digits")).fingerprint == DIGITS


# CIFAR


@pytest.mark.parametrize(
    ("name", "files"), [("cifar10", "cifar-10-batches-py"), ("cifar100", "cifar-100-python")]
)
def test_cifar_without_files_and_network_says_what_to_do(name, files, tmp_path, no_network, capsys):
    error = refusal(load, DataConfig(name=name, root=tmp_path))
    assert f"Put {files}/ there" in str(error)
    assert "--data folder:PATH" in str(error)
    assert str(tmp_path) in error.details[0]
    assert "refused" in error.details[1]
    assert not any(tmp_path.iterdir())


def test_a_failed_download_leaves_no_folder_of_its_own(tmp_path, no_network, capsys):
    (tmp_path / "mine").mkdir()
    for root in ("new/below", "mine", "mine/below"):
        refusal(load, DataConfig(name="cifar10", root=tmp_path / root))
    assert [path.name for path in tmp_path.rglob("*")] == ["mine"]


def test_cifar_root_that_cannot_be_written_is_a_user_error(tmp_path):
    (tmp_path / "file").write_text("")
    assert "--data.root" in str(refusal(load, DataConfig(name="cifar10", root=tmp_path / "file")))


def test_cifar_reads_the_published_layout(tmp_path, monkeypatch, no_network):
    """Small batches in the published format, with their check sums in place of the published ones."""
    from torchvision.datasets import CIFAR10

    def batch(name, content):
        data = pickle.dumps(content)
        (tmp_path / CIFAR10.base_folder / name).write_bytes(data)
        return [name, hashlib.md5(data).hexdigest()]

    (tmp_path / CIFAR10.base_folder).mkdir()
    pixels = noise(3, 12, 3, 32, 32)
    rows = [
        {"data": x.reshape(2, 3072), "labels": [i, 9 - i]} for i, x in enumerate(pixels.reshape(6, 2, -1))
    ]
    classes = [f"class {i}" for i in range(10)]
    meta = batch(CIFAR10.meta["filename"], {"label_names": classes})
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": meta[1]})
    monkeypatch.setattr(CIFAR10, "train_list", [batch(f"data_batch_{i + 1}", rows[i]) for i in range(5)])
    monkeypatch.setattr(CIFAR10, "test_list", [batch("test_batch", rows[5])])
    images = load(DataConfig(name="cifar10", root=tmp_path))
    np.testing.assert_array_equal(images.train, pixels[:10])
    np.testing.assert_array_equal(images.held_out, pixels[10:])
    assert images.train_labels.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]
    assert images.held_out_labels.tolist() == [5, 4]
    assert (images.classes, images.name) == (tuple(classes), "cifar10")
