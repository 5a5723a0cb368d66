"""Launchers are items: named by a spec, listed, and added by a file of one's own."""

import json
from pathlib import Path

import pytest
from commands import forget_plugins
from studies import QUICK, call_study, plan_of

from experiments.config.launch import LaunchConfig
from experiments.coordinator.launchers import make_launcher
from experiments.coordinator.tuning.tuned import tuned_defaults
from rope_dit.errors import UserError
from rope_dit.registry import add_plugins

OWN = '''
from pathlib import Path
from experiments.config.registries import LAUNCHERS
from experiments.coordinator.launchers.local import LocalLauncher
from rope_dit.registry import Text

@LAUNCHERS.register("noted")
class Noted(LocalLauncher):
    """Processes of this machine, with a note of each."""

    def __init__(self, config, threads, device, *, file: Text = "notes.txt", broken: bool = False):
        super().__init__(config, threads, device)
        self.file = Path(file)
        1 / (not broken)

    def start(self, task):
        with open(self.file, "a") as notes:
            notes.write(task.name + "\\n")
        super().start(task)
'''


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with a launcher of one's own, which is the current one's `own`."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.chdir(tmp_path)
    Path("own").mkdir()
    Path("own/noted.py").write_text(OWN)
    yield Path("own")
    forget_plugins()


def test_a_launcher_of_ones_own_is_made_with_its_options(own):
    add_plugins(own)
    made = make_launcher(LaunchConfig(launcher="noted:file=a/b-1.txt", workers=3), 1, "cpu")
    assert (made.slots, made.file) == (3, Path("a/b-1.txt"))
    with pytest.raises(UserError, match=r"launcher 'noted' .*noted\.py:14\): ZeroDivisionError"):
        make_launcher(LaunchConfig(launcher="noted:broken=true"), 1, "cpu")


def test_it_is_listed_with_those_that_ship(own):
    listed = call_study("--plugins", own, "--list", "launchers").out
    assert "noted               Processes of this machine, with a note of each.\n" in listed
    assert "options: file=notes.txt, broken=false\n" in listed
    assert all(f"\n  {name} " in listed for name in ("local", "ray", "slurm"))


def test_a_dry_run_says_only_how_much_work_there_is(tmp_path, monkeypatch):
    """How many runs there are at a time is known by the launcher, which is not made."""
    monkeypatch.chdir(tmp_path)
    result = call_study(
        "smoke", *QUICK, "--launcher", "slurm:minutes=60", "--seeds", 1, "--dry-run", processes=True
    )
    assert result.code == 0, result.err
    assert result.out.splitlines()[2].endswith(" minutes of work")
    assert "at a time" not in result.out


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_it_carries_out_a_study(own, tmp_path):
    words = ("--plugins", own, "--launcher", "noted:file=mine.txt", "--name", "n", "--seeds", 1)
    result = call_study("smoke", *QUICK, *words, processes=True)
    assert result.code == 0, result.err
    names = sorted(cell.name for cell in plan_of(tmp_path, "n").cells())
    assert sorted(Path("mine.txt").read_text().split()) == names


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--launcher", "rey"), "unknown launcher 'rey'. Did you mean 'ray'? `--list launchers` shows all."),
        (("--launcher", "local:x=1"), "local: unknown option 'x'; its options are: none."),
        (("--launcher", "slurm:minute=5"), "Did you mean 'minutes'?"),
        (("--launcher", "slurm:minutes=soon"), "slurm: option 'minutes' got 'soon', expected a whole number"),
        (("--launcher", "slurm:cluster=mine"), "expected one of slurm, local (default slurm)"),
        (
            ("--launcher", "ray:address=a b"),
            "expected a text without white space and without , ; + = (default none)",
        ),
        (("--launcher", "ray:address="), "expected key=value"),
        (("--launcher", "local+ray"), "not joined by '+'"),
        (
            ("--ray-address", "head:6379"),
            "unknown option '--ray-address'. Did you mean '--launcher ray:address=...'?",
        ),
        (("--ray_address=head:1",), "Did you mean '--launcher ray:address=...'?"),
    ],
)
def test_what_is_no_launcher_is_refused(tmp_path, monkeypatch, args, says):
    monkeypatch.chdir(tmp_path)
    result = call_study("smoke", *args, processes=True)
    assert (result.code, result.err.count("error: ")) == (2, 1)
    assert says in result.err
    assert len(result.err.splitlines()[0]) <= 200


@pytest.mark.parametrize(
    ("before", "launcher"),
    [
        ({"launcher": "local", "ray_address": ""}, "local"),
        ({"launcher": "ray", "ray_address": "head:6379"}, "ray:address=head:6379"),
    ],
)
def test_a_tuning_with_the_address_in_a_field_of_its_own_is_still_read(tmp_path, before, launcher):
    (tmp_path / "t").mkdir()
    arm = {"default": "none", "tuned": "none", "trial": 0, "value": 5.0}
    saved = {"arms": [arm], "config": {"launch": {**before, "workers": 3, "runs_per_gpu": 1}}}
    (tmp_path / "t" / "tuned.json").write_text(json.dumps(saved))
    assert tuned_defaults("t", tmp_path).launch == LaunchConfig(launcher=launcher, workers=3)
