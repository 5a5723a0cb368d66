"""Files of tensors that are damaged, of another, of an earlier version, or no files: made again, and said."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from extractors import digits_fixture, equal, images_fixture  # noqa: F401

from experiments.config.registries import METRICS
from experiments.datasets import Images
from experiments.scoring.extractors.base import Extractor, Features
from experiments.scoring.reference import Reference
from experiments.scoring.stored import read_tensors, write_tensors
from rope_dit.errors import UserError

ABOUT = {"run": "a" * 32, "step": 20, "chunk": 0}


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    pictures = torch.arange(5 * 16).to(torch.uint8).view(5, 1, 4, 4)
    return {"pictures": pictures, "pool": torch.arange(10.0).view(5, 2), "nfe": torch.tensor(4.0).double()}


@pytest.fixture
def file(tmp_path: Path, tensors) -> Path:
    path = tmp_path / "samples" / "0.safetensors"
    write_tensors(path, ABOUT, tensors)
    return path


def said(caplog: pytest.LogCaptureFixture) -> str:
    """The one warning."""
    (record,) = caplog.records
    return record.getMessage()


def test_what_was_written_is_read_without_a_word(file, tensors, caplog):
    found = read_tensors(file, dict(reversed(ABOUT.items())))
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[key], tensors[key]) for key in tensors)
    assert read_tensors(file.with_name("missing"), ABOUT) is None
    assert not caplog.records


def test_no_flipped_bit_is_believed(file, caplog):
    """Wherever it lies: in the numbers, in the header, or in what it belongs to."""
    content = file.read_bytes()
    whole = read_tensors(file, ABOUT)
    for position in range(len(content)):
        file.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
        found = read_tensors(file, ABOUT)
        assert found is None or all(torch.equal(found[key], whole[key]) for key in whole)
    assert len(caplog.records) > 0.9 * len(content)  # spaces that pad the header mean nothing


@pytest.mark.parametrize("length", [0, 7, 8, 100, -1])
def test_a_cut_file_is_not_used(file, caplog, length):
    file.write_bytes(file.read_bytes()[:length])
    assert read_tensors(file, ABOUT) is None
    assert f"{file} is not used, but made again: " in said(caplog)


@pytest.mark.parametrize("key", ABOUT)
def test_what_belongs_to_another_is_not_used_and_says_whose_it_is(file, caplog, key):
    assert read_tensors(file, ABOUT | {key: 99}) is None
    assert f"made again: it belongs to another: {key} {ABOUT[key]}, expected 99" in said(caplog)


def test_fewer_pictures_are_not_used(file, tensors, caplog):
    """With all else as it was, as somebody leaves it who cuts a chunk."""
    with safetensors.safe_open(file, "pt") as opened:
        meta = opened.metadata()
    safetensors.torch.save_file({**tensors, "pictures": tensors["pictures"][:1]}, file, meta)
    assert read_tensors(file, ABOUT) is None
    assert "it is damaged, its SHA-256 is another" in said(caplog)


def test_a_file_of_an_earlier_version_is_not_used(file, tensors, caplog):
    file.write_bytes(safetensors.torch.save(tensors))
    assert read_tensors(file, ABOUT) is None
    assert "it has no SHA-256, as an earlier version wrote it" in said(caplog)


@pytest.mark.parametrize("content", ["[1]", "{", '"x"', '{"sha256": {}}'])
def test_metadata_of_another_kind_is_not_used(file, tensors, caplog, content):
    safetensors.torch.save_file(tensors, file, {"rope_dit": content})
    assert read_tensors(file, ABOUT) is None
    assert "is not used, but made again" in said(caplog)


def test_what_is_no_file_is_not_waited_for(file, caplog):
    file.unlink()
    os.mkfifo(file)
    assert read_tensors(file, ABOUT) is None
    assert said(caplog).endswith("made again: is a pipe")


# reference features


@pytest.fixture
def reference(digits: Extractor, images: Images, tmp_path, monkeypatch):
    """Makes references of as many pictures in each part, whose cache is the test's own."""
    monkeypatch.setenv("ROPE_DIT_CACHE", str(tmp_path / "cache"))
    parts = {"train": images.train[:90], "train_labels": images.train_labels[:90]}
    few = Images(**parts, held_out=images.held_out[:90], held_out_labels=images.held_out_labels[:90],
                 classes=images.classes, name="few")  # fmt: skip

    def made() -> Reference:
        found = Reference(few, digits, lambda: False)
        found.make()
        return found

    return made


def caches(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").glob("features-*"))


def test_features_are_made_once_and_read_without_a_word(reference, tmp_path, caplog, monkeypatch):
    first = reference()
    monkeypatch.setattr(Extractor, "__call__", None)  # it would fail
    assert equal(reference().train, first.train)
    assert equal(reference().held_out, first.held_out)
    assert not caplog.records


def flip(files: list[Path]) -> None:
    content = bytearray(files[1].read_bytes())
    content[-4001] ^= 0x40
    files[1].write_bytes(content)


def swap(files: list[Path]) -> None:
    contents = [path.read_bytes() for path in files]
    for path, content in zip(files, reversed(contents), strict=True):
        path.write_bytes(content)


def unseal(files: list[Path]) -> None:
    for path in files:
        path.write_bytes(safetensors.torch.save(safetensors.torch.load_file(path)))


def make_infinite(files: list[Path]) -> None:
    held = safetensors.torch.load_file(files[0])
    held["pool"][3, 1] = np.inf
    with safetensors.safe_open(files[0], "pt") as opened:
        meta = opened.metadata()
    safetensors.torch.save_file(held, files[0], meta)


@pytest.mark.parametrize(("damage", "count"), [(flip, 1), (swap, 2), (unseal, 3), (make_infinite, 1)])
def test_features_that_are_not_what_was_written_are_made_again_to_the_bit(
    reference, tmp_path, caplog, damage, count
):
    first, names = reference(), caches(tmp_path)
    contents = [path.read_bytes() for path in names]
    damage(names)
    again = reference()
    assert equal(again.train, first.train)
    assert equal(again.held_out, first.held_out)
    assert len(caplog.records) == count
    assert all("is not used, but made again" in record.getMessage() for record in caplog.records)
    assert [path.read_bytes() for path in names] == contents
    caplog.clear()
    reference()
    assert not caplog.records


def test_features_that_come_out_infinite_blame_the_extractor(reference, monkeypatch, tmp_path):
    bad = Features(torch.full((90, 2), torch.inf), torch.zeros(90, 2))
    monkeypatch.setattr(Extractor, "__call__", lambda extractor, pictures: bad)
    with pytest.raises(UserError, match="check the extractor's weights"):
        reference()
    assert not caches(tmp_path)


def test_an_earlier_version_reads_the_same_file(reference, tmp_path):
    """By the same name, so that neither makes anew what the other has made."""
    first = reference()
    found = [Features(**safetensors.torch.load_file(path)) for path in caches(tmp_path)]
    assert [[equal(one, part) for one in found].count(True) for part in (first.train, first.held_out)] == [
        1,
        1,
    ]


def measured(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").glob("measured-*"))


def test_what_real_pictures_score_is_measured_once(reference, tmp_path, caplog, monkeypatch):
    first = reference()
    first.try_metrics()
    values, known = first.untrained, first.train.known
    assert len(measured(tmp_path)) == 3
    assert any("radii" in name for name in known)
    monkeypatch.setattr("experiments.scoring.reference.measure_all", None)  # it would fail
    again = reference()
    again.try_metrics()
    assert again.untrained == values
    assert again.train.known.keys() == known.keys()
    assert all(torch.equal(again.train.known[name], known[name]) for name in known)
    assert not caplog.records


def test_it_is_measured_again_where_a_metric_has_changed(reference, tmp_path, monkeypatch):
    reference().try_metrics()
    monkeypatch.setitem(METRICS.entries(), "kid", replace(METRICS["kid"], version=99))
    assert not reference().train.known
    reference().try_metrics()
    assert len(measured(tmp_path)) == 6


def test_what_is_damaged_is_measured_again(reference, tmp_path, caplog):
    first = reference()
    first.try_metrics()
    for path in measured(tmp_path):
        path.write_bytes(path.read_bytes()[:-4])
    again = reference()
    again.try_metrics()
    assert again.untrained == first.untrained
    assert len(caplog.records) == 3
