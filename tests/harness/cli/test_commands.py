"""Commands that are printed or kept can be typed."""

import shlex
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from analysis import load
from experiments.cli.commands import python, typed
from experiments.config.presets import preset
from experiments.coordinator.tuning.tune import conclude
from experiments.coordinator.tuning.tuned import TunedArm, tuned_defaults
from experiments.records.run_folder import RunFolder
from experiments.study import read_arguments
from rope_dit.errors import UserError

ODD = ("my pics", "it's", "a;b", "$HOME", "", "--x=y z", "a\nb", "*", "\u00e4", "a\\b", '"')


def test_a_shell_reads_the_words_back():
    assert shlex.split(typed(*ODD)) == [*ODD]
    assert shlex.split(python("experiments.run", *ODD)) == ["python", "-m", "experiments.run", *ODD]


def test_the_command_after_tuning_finds_the_studies(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for studies in (Path("studies"), tmp_path / "my studies"):
        plan = SimpleNamespace(name="t", path=studies.absolute() / "t")
        conclude(plan, [TunedArm(default="a=none", tuned="a-tuned=none", trial=0, value=1.0)])
        words = shlex.split(capsys.readouterr().out.splitlines()[-1])
        assert words[:3] == ["python", "-m", "experiments.study"]
        with pytest.raises(UserError, match="is not there; first: ") as refused:
            read_arguments(words[3:])
        assert str(studies / "t") in str(refused.value)


def test_the_command_that_makes_a_tuning_is_in_the_studies_folder(tmp_path):
    with pytest.raises(UserError) as refused:
        tuned_defaults("t", tmp_path / "a b")
    words = shlex.split(str(refused.value).partition("first: ")[2])
    assert words[3:] == ["tune", "--name", "t", "--studies", str(tmp_path / "a b")]


def test_the_command_that_migrates_names_the_folder(tmp_path):
    folder = RunFolder(tmp_path / "my runs")
    folder.path.mkdir()
    identity = {"variant": "none", "seed": "0"}
    folder.create(identity | {"variant source": "0" * 64}, replace(preset("smoke"), variant="none"), {}, {})
    with pytest.raises(UserError) as refused:
        folder.check_free_for(identity)
    words = shlex.split(refused.value.details[-1].rpartition(": ")[2])
    assert words == ["python", "-m", "experiments.runner.migrate", str(folder.path)]


def test_an_experiment_of_whatever_name_can_be_filled():
    class Store:
        def search_experiments(self):
            return [SimpleNamespace(name="my exp", experiment_id="1")]

        def search_runs(self, ids, page_token=None):
            return type("Page", (list,), {"token": None})()

    with pytest.raises(UserError) as refused:
        load.find_runs(Store(), "my exp")
    assert shlex.split(str(refused.value).rpartition(": ")[2])[-2:] == ["--study", "my exp"]
