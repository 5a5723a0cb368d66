"""Folders that are written last are looked at first."""

import pytest
from commands import call
from studies import call_study

from experiments.cli.outputs import check_folder
from rope_dit.errors import UserError


@pytest.mark.parametrize("below", ["", "a", "a/b"])
def test_a_file_in_the_way_of_a_folder_is_named(tmp_path, below):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UserError, match=r"--reports: .*/file is no folder that can be written") as caught:
        check_folder(file / below, "--reports")
    assert str(file) in str(caught.value)


def test_a_link_to_nowhere_is_in_the_way(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match="link is no folder that can be written"):
        check_folder(tmp_path / "link" / "a", "--out")


def test_what_can_be_made_is_fine_and_not_made(tmp_path, monkeypatch):
    check_folder(tmp_path / "a" / "b", "--out")
    monkeypatch.chdir(tmp_path)
    check_folder(tmp_path.relative_to(tmp_path) / "a", "--out")
    assert not list(tmp_path.iterdir())


def test_a_study_asks_for_its_reports_folder_before_its_first_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    made = call_study("--preset", "smoke", "--name", "st", "--reports", "file/reports")
    assert made.code == 2
    assert made.err.startswith("error: --reports: ")
    assert made.err.count("\n") == 1
    assert not (tmp_path / "studies").exists()


def test_a_run_of_the_name_of_mlflow_s_own_experiment_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = call("run", "--preset", "smoke", "--study", "Default")
    assert made.code == 2
    assert "study got 'Default', expected another name than that of MLflow's own experiment" in made.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", ["ablate", "tune"])
def test_a_study_of_the_name_of_mlflow_s_own_experiment_is_refused(mode):
    made = call_study(mode, "--preset", "smoke", "--name", "Default")
    assert made.code == 2
    assert (
        made.err == "error: name got 'Default', expected another name than that of MLflow's own experiment.\n"
    )
