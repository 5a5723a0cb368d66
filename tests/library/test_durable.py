"""A file holds the old content or the new one, whatever happens while it is written."""

import errno
import os
import re

import pytest

from rope_dit.durable import replacing, replacing_folder, write_durably


def test_errors_name_the_file_and_not_the_temporary_one(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("a file where a folder is needed")
    with pytest.raises(OSError, match=re.escape(str(blocked / "config.json"))) as caught:
        write_durably(blocked / "config.json", b"{}")
    assert ".tmp-" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        write_durably(tmp_path / "missing" / "config.json", b"{}")


def test_the_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    events: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)

        def spy(*args, name=name, real=real):
            events.append(name)
            return real(*args)

        monkeypatch.setattr(os, name, spy)
    write_durably(tmp_path / "file", b"content")
    assert events == ["fsync", "replace", "fsync"]
    assert (tmp_path / "file").read_bytes() == b"content"


@pytest.mark.parametrize("error", [KeyError("x"), KeyboardInterrupt(), OSError("8 requested and 0 written")])
def test_what_raises_while_a_file_is_written_leaves_the_old_one_alone(tmp_path, error):
    def write() -> None:
        with replacing(tmp_path / "file") as file:
            file.write(b"new")
            raise error

    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(type(error)) as caught:
        write()
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"
    if isinstance(error, OSError):
        assert str(caught.value) == f"[Errno 5] 8 requested and 0 written: '{tmp_path / 'file'}'"


def test_two_may_replace_a_file_at_the_same_time(tmp_path):
    with replacing(tmp_path / "file") as first, replacing(tmp_path / "file") as second:
        first.write(b"first")
        second.write(b"second")
    assert (tmp_path / "file").read_bytes() == b"first"  # which was the last to be put in place
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_folder_is_there_whole_or_not_at_all(tmp_path):
    with replacing_folder(tmp_path / "new") as folder:
        (folder / "a").write_text("a")
        assert not (tmp_path / "new").exists()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a"]

    def fill() -> None:
        with replacing_folder(tmp_path / "other") as folder:
            (folder / "a").write_text("a")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space") as caught:
        fill()
    assert caught.value.filename == str(tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
