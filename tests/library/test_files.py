"""Reading what somebody names: files and links to them, and nothing that lasts for ever."""

import os
import socket
from pathlib import Path

import pytest

from rope_dit.errors import UserError
from rope_dit.files import read_file
from rope_dit.registry.syntax import tree_sha256


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def test_a_file_and_a_link_to_one_are_read_whole(tmp_path):
    (tmp_path / "file").write_bytes(b"abc" * 100_000)
    (tmp_path / "link").symlink_to("file")
    assert read_file(tmp_path / "link") == read_file(tmp_path / "file") == b"abc" * 100_000


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (os.mkfifo, "is a pipe"),
        (Path.mkdir, "is a folder"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device"),
        (make_socket, "No such device or address"),
        (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
        (lambda path: None, "No such file or directory"),
        (
            lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 2**33),
            "has 8589934592 bytes, more",
        ),
    ],
)
def test_what_is_none_is_named_at_once(tmp_path, make, says):
    make(tmp_path / "it")
    with pytest.raises(OSError, match=says) as caught:
        read_file(tmp_path / "it")
    assert Path(caught.value.filename) == tmp_path / "it"
    assert caught.value.strerror.startswith(says)


def test_no_more_is_read_than_asked_for(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert read_file(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="has 5 bytes, more than 4"):
        read_file(tmp_path / "file", 4)


def test_a_plug_in_that_is_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "mine.py")
    with pytest.raises(UserError, match=r"mine\.py: is a pipe; expected a file of Python"):
        tree_sha256(tmp_path / "mine.py")
