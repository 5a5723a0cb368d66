"""Run folders of somebody else, in which a link leads out: refused by name, with nothing changed."""

import os
from pathlib import Path

import pytest
from mirrors import log, make_run, scored

from experiments.records.folders.own_files import FILES, FOLDERS
from experiments.records.run_folder import RunFolder
from rope_dit.errors import UserError

WITHIN = ("pictures/x.png", "samples/x.safetensors")


@pytest.fixture
def folder(tmp_path):
    made = make_run(tmp_path / "run")
    log(made, 5)
    made.add_scores([scored()])
    with made.lock():
        for name in FOLDERS:
            (made.path / name).mkdir()
        for name in WITHIN:
            (made.path / name).touch()
    return made


def removed(path: Path) -> None:
    if path.is_dir():
        for inside in path.iterdir():
            inside.unlink()
        path.rmdir()
    path.unlink(missing_ok=True)


@pytest.mark.parametrize("name", [*FILES, *FOLDERS, *WITHIN])
def test_a_link_that_leads_out_is_refused_before_anything_is_written(folder, tmp_path, name):
    outside = tmp_path / "thesis"
    outside.mkdir() if name in FOLDERS else outside.write_text("my precious thesis")
    removed(folder.path / name)
    (folder.path / name).symlink_to(outside)
    before = sorted(folder.path.rglob("*"))
    for use in (lambda: folder.check_free_for({"seed": "0"}), lambda: folder.lock().__enter__()):
        with pytest.raises(UserError, match=rf"run/{name} is a link, expected the folder's own; remove it"):
            use()
    assert not folder.is_locked()
    assert sorted(folder.path.rglob("*")) == before
    assert outside.is_dir() or outside.read_text() == "my precious thesis"


@pytest.mark.parametrize("name", ["lock", "metrics.jsonl", "config.json", "ending.json", "pictures"])
def test_a_pipe_is_refused_and_waited_for_by_nobody(folder, name):
    removed(folder.path / name)
    os.mkfifo(folder.path / name)
    assert not folder.is_locked()
    assert folder.ending is None
    with pytest.raises(UserError, match=rf"run/{name} is a pipe, expected the folder's own"):
        folder.lock().__enter__()


def test_a_study_s_lock_is_as_safe(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "lock").symlink_to(tmp_path / "thesis")
    with pytest.raises(UserError, match="study/lock is a link"):
        RunFolder(tmp_path / "study").lock().__enter__()
    assert not (tmp_path / "thesis").exists()


def test_a_folder_may_itself_be_reached_by_a_link(folder, tmp_path):
    (tmp_path / "short").symlink_to(folder.path)
    with RunFolder(tmp_path / "short").lock():
        assert folder.is_locked()


def test_the_owner_s_name_is_not_written_into_a_file_that_another_name_has_too(folder, tmp_path):
    (tmp_path / "thesis").write_text("my precious thesis")
    for name in ("lock", "owner"):
        (folder.path / name).unlink()
        os.link(tmp_path / "thesis", folder.path / name)
    with folder.lock():
        pass
    assert (tmp_path / "thesis").read_text() == "my precious thesis"
