"""Checkpoints against bit rot, junk, strangers and other runs; kills are in test_checkpoint_kills.py."""

import hashlib
import json
import logging
import os
import random
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rope_dit.checkpoint import Checkpoints, restore
from rope_dit.errors import UserError

IDENTITY = {"variant": "rope2d:theta=100", "seed": "0"}
BIT_FLIPS, TRUNCATIONS = 300, 100


def tensors(step: int) -> dict[str, Tensor]:
    return {"weight": torch.arange(12.0).view(3, 4) + step, "step": torch.tensor(float(step))}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints", IDENTITY)


@pytest.fixture
def two(checkpoints: Checkpoints) -> tuple[Path, Path]:
    """Checkpoints of steps 1 and 2."""
    return checkpoints.save(1, tensors(1)), checkpoints.save(2, tensors(2))


def expect_step(checkpoints: Checkpoints, step: int) -> None:
    found = checkpoints.load()
    assert found is not None
    assert found[0] == step
    assert same(found[1], tensors(step))


def plant(folder: Path, step: int, content: bytes) -> Path:
    """Write a file that has the name, and so the hash, of a checkpoint with this content."""
    path = folder / f"{step:08d}-{hashlib.sha256(content).hexdigest()}.safetensors"
    path.write_bytes(content)
    return path


def safetensors_bytes(header: object, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_nothing_saved_is_no_checkpoint(checkpoints):
    assert checkpoints.load() is None
    checkpoints.folder.mkdir()
    assert checkpoints.load() is None


def test_round_trip_keeps_every_bit(checkpoints):
    given = {
        "float32": torch.tensor([1.5, -0.0, 1e-45, float("inf")]),
        "bfloat16": torch.arange(6.0).view(2, 3).bfloat16(),
        "float64": torch.tensor(1 / 3, dtype=torch.float64),
        "int64": torch.tensor([2**62, -1]),
        "bool": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
        "transposed": torch.arange(6.0).view(2, 3).T,
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "name with / and = signs": torch.zeros(1),
    }
    path = checkpoints.save(123456789, given)
    step, got = checkpoints.load()
    assert step == 123456789
    assert same(got, {k: v.detach() for k, v in given.items()})
    assert path.name == f"123456789-{hashlib.sha256(path.read_bytes()).hexdigest()}.safetensors"


def test_equal_content_has_an_equal_name(tmp_path):
    several = {f"tensor{i}": torch.full((2,), float(i)) for i in range(20)}
    names = {Checkpoints(tmp_path / str(i), IDENTITY).save(1, several).name for i in range(5)}
    assert len(names) == 1


def test_the_newest_step_wins_whatever_its_digits(checkpoints):
    for step in (99_999_999, 100_000_000, 5):
        checkpoints.save(step, tensors(step))
    assert checkpoints.load()[0] == 100_000_000


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_keeps_so_many(tmp_path, keep):
    checkpoints = Checkpoints(tmp_path, IDENTITY, keep)
    for step in range(5):
        checkpoints.save(step, tensors(step))
    assert sorted(int(p.name[:8]) for p in tmp_path.iterdir()) == list(range(5 - keep, 5))


def damaged_versions(content: bytes) -> list[bytes]:
    choose = random.Random(0)
    flips = []
    for _ in range(BIT_FLIPS):
        at, bit = choose.randrange(len(content)), choose.randrange(8)
        flips.append(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
    cuts = [content[: choose.randrange(len(content))] for _ in range(TRUNCATIONS)]
    other = safetensors_bytes({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"\0\0\x80?")
    junk = [
        b"",
        b"\0" * 4096,
        b"<html></html>",
        b"\x89PNG\r\n\x1a\n" + b"\1" * 99,
        b"plain text\n",
        b"\xff" * 9,
    ]
    junk += [b"\x80\x04cos\nsystem\n(S'touch hacked'\ntR.", choose.randbytes(999), content + b"\0", other]
    return flips + cuts + junk


def test_damage_is_found_and_the_one_before_is_taken(checkpoints, two, caplog):
    old, new = two
    for number, content in enumerate(damaged_versions(new.read_bytes())):
        new.write_bytes(content)
        caplog.clear()
        expect_step(checkpoints, 1)
        assert [r.levelno for r in caplog.records] == [logging.WARNING], number
        assert new.name in caplog.text
        assert old.name not in caplog.text


HUGE = {"x": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4]}}
FITTING_HASH = {
    "empty": b"",
    "text": b"hello",
    "header longer than the file": struct.pack("<Q", 2**62) + b"{}",
    "header is no JSON": struct.pack("<Q", 4) + b"{{{{",
    "header is a list": safetensors_bytes([1, 2]),
    "deep header": struct.pack("<Q", 200_000) + b"[" * 200_000,
    "claims 10^12 elements": safetensors_bytes(HUGE, b"\0" * 4),
    "unknown type": safetensors_bytes(
        {"x": {"dtype": "F7", "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 4
    ),
    "overlapping tensors": safetensors_bytes(
        {n: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for n in "xy"}, b"\0" * 4
    ),
}


@pytest.mark.parametrize("what", FITTING_HASH)
def test_a_fitting_hash_does_not_make_junk_a_checkpoint(checkpoints, two, caplog, what):
    plant(checkpoints.folder, 3, FITTING_HASH[what])
    expect_step(checkpoints, 2)
    assert "damaged" in caplog.text


def test_a_renamed_checkpoint_is_not_believed(checkpoints, two, caplog):
    two[1].rename(two[1].with_name(two[1].name.replace("00000002", "00000007")))
    expect_step(checkpoints, 1)
    assert "it holds step 2" in caplog.text


NEWER = {"rope_dit": json.dumps({"format": "2", "step": "3", "identity": {}})}


@pytest.mark.parametrize("metadata", [{}, NEWER, None])
def test_another_format_is_refused_by_number(checkpoints, two, metadata):
    header = {"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "__metadata__": metadata}
    plant(checkpoints.folder, 3, safetensors_bytes(header, b"\0" * 4))
    with pytest.raises(UserError, match=r"has format (2|None), expected 1") as caught:
        checkpoints.load()
    assert len(str(caught.value)) <= 200


def test_all_damaged_is_an_error_that_lists_each(checkpoints, two, caplog):
    for path in two:
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"no checkpoint in .* is whole") as caught:
        checkpoints.load()
    assert len(caught.value.details) == 2
    for path, line in zip(reversed(two), caught.value.details, strict=True):
        assert line.startswith(path.name)
        assert "SHA-256" in line
    assert all(path.exists() for path in two)


def test_purging_never_counts_a_damaged_one(checkpoints, two):
    two[1].write_bytes(b"damaged")
    newest = checkpoints.save(3, tensors(3))
    assert set(checkpoints.folder.iterdir()) == {two[0], newest}


def test_a_later_damaged_one_does_not_outlive_the_next_save(checkpoints, two, caplog):
    two[1].write_bytes(b"damaged")
    expect_step(checkpoints, 1)
    checkpoints.save(2, tensors(2))
    caplog.clear()
    expect_step(checkpoints, 2)
    assert not caplog.records


@pytest.mark.parametrize(
    ("now", "lines"),
    [
        ({**IDENTITY, "seed": "1"}, ["seed: checkpoint 0, now 1"]),
        ({"seed": "0"}, ["variant: checkpoint rope2d:theta=100, now -"]),
        ({**IDENTITY, "a": "x", "seed": "2"}, ["a: checkpoint -, now x", "seed: checkpoint 0, now 2"]),
    ],
)
def test_another_run_is_refused_and_the_fields_listed(checkpoints, two, now, lines):
    with pytest.raises(UserError, match="another run") as caught:
        Checkpoints(checkpoints.folder, now).load()
    assert list(caught.value.details) == lines


def today(saved: Mapping[str, str]) -> dict[str, str]:
    """What a later version makes of an identity: `seed` is called `number` now, and `hash` counts no more."""
    renamed = {"number" if key == "seed" else key: value for key, value in saved.items()}
    return {key: value for key, value in renamed.items() if key != "hash"}


NOW = {"variant": "rope2d:theta=100", "number": "0"}


def test_an_identity_of_an_earlier_version_is_read_in_today_s_form(checkpoints):
    Checkpoints(checkpoints.folder, IDENTITY | {"hash": "abc"}).save(1, tensors(1))
    expect_step(Checkpoints(checkpoints.folder, NOW, read=today), 1)
    with pytest.raises(UserError, match="another run"):
        Checkpoints(checkpoints.folder, NOW).load()


def test_another_run_of_an_earlier_version_is_refused_in_today_s_words(checkpoints, two):
    with pytest.raises(UserError, match="another run") as caught:
        Checkpoints(checkpoints.folder, NOW | {"number": "7"}, read=today).load()
    assert list(caught.value.details) == ["number: checkpoint 0, now 7"]


def test_a_later_version_writes_its_own_form(checkpoints, two):
    later = Checkpoints(checkpoints.folder, NOW, read=today)
    later.save(3, tensors(3))
    expect_step(later, 3)
    with pytest.raises(UserError, match="another run"):
        checkpoints.load()


def test_what_is_no_checkpoint_by_name_is_passed_over(checkpoints, two, tmp_path, caplog):
    digest = two[1].name.partition("-")[2]
    elsewhere = Checkpoints(tmp_path / "elsewhere", IDENTITY).save(9, tensors(9))
    (checkpoints.folder / elsewhere.name).symlink_to(elsewhere)
    (checkpoints.folder / f"00000008-{digest}").symlink_to(tmp_path / "dangling")
    (checkpoints.folder / f"00000007-{digest}").mkdir()
    os.mkfifo(checkpoints.folder / f"00000006-{digest}")
    (checkpoints.folder / "latest").symlink_to(two[0])
    (checkpoints.folder / f"3-{digest}").write_bytes(b"short number")
    (checkpoints.folder / ".tmp-1-left").write_bytes(b"half a checkp")
    expect_step(checkpoints, 2)
    assert not caplog.records


def test_leftovers_of_the_dead_are_removed_at_the_next_save(checkpoints, two, caplog):
    (checkpoints.folder / ".tmp-1-left.safetensors").write_bytes(b"half a checkp")
    undeletable = checkpoints.folder / ".tmp-2-folder"
    undeletable.mkdir()
    newest = checkpoints.save(3, tensors(3))
    assert set(checkpoints.folder.iterdir()) == {two[1], newest, undeletable}
    assert "cannot remove" in caplog.text


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("weight", None),
        ("weight", torch.zeros(4, 3)),
        ("weight", torch.zeros(3, 4, dtype=torch.float64)),
        ("step", torch.zeros(1)),
        ("more", torch.zeros(1)),
    ],
)
def test_restore_refuses_another_layout_and_copies_nothing(key, wrong):
    got, live = tensors(5), tensors(0)
    got |= {key: wrong} if wrong is not None else {}
    if wrong is None:
        del got[key]
    with pytest.raises(UserError, match="1 tensors differ") as caught:
        restore(got, live)
    assert caught.value.details[0].startswith(f"{key}: ")
    assert same(live, tensors(0))


def test_restore_copies_into_the_live_tensors():
    parameter = torch.nn.Parameter(torch.zeros(3, 4))
    live = {"weight": parameter, "step": torch.zeros(())}
    restore(tensors(5), live)
    assert torch.equal(parameter.detach(), tensors(5)["weight"])
    assert live["step"] == 5


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (blocked := tmp_path / "file").write_text("a file where a folder is needed")
    with pytest.raises(OSError, match="file"):
        Checkpoints(blocked, IDENTITY).save(1, tensors(1))
