"""Arms of a study whose code changes between two starts: refused by name, or trained again where asked to."""

import json
import os
import shutil
from pathlib import Path

import pytest
from commands import SMOKE, Result, call, snapshot
from mirrors import tables_fixture  # noqa: F401
from report_pages import texts
from report_stores import study_in
from studies import call_study, studies_in, unsealed_json

from experiments.coordinator import replacing
from experiments.records.run_folder import Ending, RunFolder

FORMULA = """
from rope_dit.pos_embed.base import PosEmbed
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("mine")
class Mine(PosEmbed):
    "Says nothing of places: it makes tokens larger."

    def add(self, site, x):
        return x * 2.0
"""
EDITED = FORMULA.replace("2.0", "3.0")
SMALL = (*SMOKE, "--eval.every", "0", "--samplers", "euler:steps=1", "--eval.n", "100")


@pytest.fixture(scope="module")
def finished(tables, tmp_path_factory):
    """A folder with a study of two arms and two seeds; the formula of the second arm is a plug-in."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        shutil.copy(tables, folder / "mlflow.db")
        studies_in(folder, patch)
        Path("plug").mkdir()
        edit(FORMULA)
        made = started("--variants", "none", "mine", "--seeds", 2)
    assert made.code == 0, made.err
    return folder


@pytest.fixture
def study(finished, tmp_path, monkeypatch):
    """The study's folder in a copy of it all, to go on with."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    studies_in(tmp_path, monkeypatch)
    return tmp_path / "studies" / "s"


def started(*args: object) -> Result:
    name = () if "--name" in args or "--sync" in args else ("--name", "s")
    return call_study(*SMALL, *args, *name, "--plugins", "plug")


@pytest.fixture(scope="module")
def mended(finished, tmp_path_factory):
    """A copy in which the second arm was replaced after its formula was edited, and what that said."""
    folder = tmp_path_factory.mktemp("mended")
    shutil.copytree(finished, folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        studies_in(folder, patch)
        edit()
        made = started("--variants", "none", "--seeds", 2, "--replace", "mine")
    assert made.code == 0, made.err
    return folder, made.out


def edit(text: str = EDITED) -> None:
    Path("plug/mine.py").write_text(text)


def used(folder: Path) -> dict[str, list[str]]:
    """Ids of the runs that the report uses, by arm, seed by seed."""
    found = study_in(folder, "s").runs
    return {str(arm): list(runs["run_uid"]) for arm, runs in found.groupby("arm")}


@pytest.mark.slow
def test_a_study_grown_by_another_arm_and_a_seed_refuses_an_arm_of_other_code(study):
    edit()
    before = snapshot(study)
    grown = started("--variants", "none", "rope2d", "--seeds", 3)
    assert (grown.code, len(grown.err.splitlines())) == (2, 2)
    said, field = grown.err.splitlines()
    assert said.startswith("error: arm mine: code or settings are no longer those of the runs")
    assert "--replace mine" in said
    assert field.startswith("  mine: plug-in variant mine: there ")
    assert snapshot(study) == before


def test_what_was_written_down_is_held_to_without_any_run(study):
    shutil.rmtree(study / "runs" / "mine-s0")
    shutil.rmtree(study / "runs" / "mine-s1")
    edit()
    grown = started("--variants", "none", "--seeds", 2)
    assert (grown.code, "mine: plug-in variant mine: there " in grown.err) == (2, True)


def test_a_run_of_other_code_is_found_where_nothing_was_written_down(study):
    saved = unsealed_json(study / "study.json")
    del saved["identities"], saved["chain"]
    (study / "study.json").write_text(json.dumps(saved))  # as earlier versions left it
    for seal in study.glob("runs/*/seal.json"):
        seal.unlink()
    edit()
    grown = started("--variants", "none", "--seeds", 2)
    assert (grown.code, "mine: plug-in variant mine: there " in grown.err) == (2, True)


def test_a_replaced_arm_is_trained_again_and_the_others_are_as_they_were(finished, mended):
    (folder, out), before, now = mended, used(finished), used(mended[0])
    assert "arm mine is trained again (plug-in variant mine changed); 2 runs of it set aside" in out
    assert "4 runs, 2 of them done" in out
    aside = {path.name for path in (folder / "studies/s/replaced").iterdir()}
    assert aside == {f"mine-s{seed}-{uid[:8]}" for seed, uid in enumerate(before["mine"])}
    assert now["none"] == before["none"]
    assert not {*now["mine"]} & {*before["mine"]}


def test_the_report_says_that_an_arm_was_replaced(mended):
    text = texts(mended[0], "s")[1]
    assert ": plug-in variant mine changed; 2 scored seeds were left out." in text
    assert text.count("is not used: the arm was trained again, as plug-in variant mine changed.") == 2


def test_sync_keeps_what_was_replaced(mended, tmp_path, monkeypatch):
    shutil.copytree(mended[0], tmp_path, dirs_exist_ok=True)
    studies_in(tmp_path, monkeypatch)
    before = study_in(tmp_path, "s")
    shutil.rmtree("mlartifacts")
    os.remove("mlflow.db")
    assert started("--sync", "s").code == 0
    after = study_in(tmp_path, "s")
    assert after.definition == before.definition
    assert list(after.runs["run_uid"]) == list(before.runs["run_uid"])
    columns = ["run_uid", "why"]
    old, new = (found.others[columns].sort_values("run_uid", ignore_index=True) for found in (before, after))
    assert new.equals(old)
    assert len(new) == 2


@pytest.mark.slow
def test_a_coordinator_that_was_killed_before_it_could_move_the_runs_goes_on(study, monkeypatch):
    edit()
    with monkeypatch.context() as patch:
        patch.setattr(replacing.os, "rename", killed)
        assert started("--variants", "none", "--seeds", 2, "--replace", "mine").code == 130
    assert not list((study / "replaced").glob("*"))
    again = started("--variants", "none", "--seeds", 2)
    assert (again.code, "4 runs, 2 of them done" in again.out) == (0, True), again.err
    assert len(list((study / "replaced").glob("*"))) == 2
    assert len(study_in(study.parents[1], "s").definition.replaced) == 1


def killed(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("arm", "says"),
    [
        ("nobody", "replace got 'nobody', expected one of the study's arms none, mine"),
        ("mine", "arm mine is as it was and no run of it failed: trained again, it would be the same"),
    ],
)
def test_what_needs_no_replacement_is_refused(study, arm, says):
    before = snapshot(study)
    made = started("--variants", "none", "--seeds", 2, "--replace", arm)
    assert (made.code, says in made.err) == (2, True), made.err
    assert snapshot(study) == before


def test_a_first_start_replaces_nothing(study):
    made = started("--variants", "none", "--replace", "none", "--name", "new")
    assert (made.code, "expected nothing at a study's first start" in made.err) == (2, True)
    assert not Path("studies/new").exists()


def test_an_arm_whose_runs_failed_may_be_replaced_as_it_is(study):
    RunFolder(study / "runs" / "mine-s0").end(Ending("FAILED", "error", "OSError: the disk is full"))
    made = started("--variants", "none", "--seeds", 2, "--replace", "mine", "--dry-run")
    assert made.code == 0, made.err
    assert "arm mine is trained again (runs of it had failed); 2 runs of it set aside" in made.out


# A run by itself, with the name of a cell


def lone(*args: object) -> Result:
    return call("run", *SMALL, *args, "--variant", "none", "--arm", "none", "--study", "s")


def test_a_run_by_itself_does_not_enter_a_study_unasked(study):
    made = lone("--seed", 0, "--train.lr", "0.01")
    assert (made.code, len(made.err.splitlines())) == (2, 1)
    assert made.err.startswith(
        "error: experiment 's' is a study, which a run by itself does not enter unasked"
    )
    assert "--join" in made.err
    assert not list(Path("runs").rglob("config.json"))


def test_a_run_of_other_settings_that_joins_a_study_is_named_and_changes_no_value(study):
    folder = study.parents[1]
    before = study_in(folder, "s")
    made = lone("--seed", 0, "--train.lr", "0.01", "--join")
    assert made.code == 0, made.err
    found, text = study_in(folder, "s"), texts(folder, "s")[1]
    assert len(before.endpoint()) == 4
    assert found.endpoint().equals(before.endpoint())  # on which verdicts stand
    assert list(found.runs["run_id"]) == list(before.runs["run_id"])
    assert list(found.others["why"]) == ["train.lr 0.01, expected 0.002"]
    run_id = found.others["run_id"][0]
    assert f"Run {run_id} of none, seed 0, is not used: train.lr 0.01, expected 0.002." in text


def test_a_run_that_joins_a_sealed_study_takes_the_place_of_no_cell(study):
    folder = study.parents[1]
    before = used(folder)
    made = lone("--seed", 1, "--join")
    assert made.code == 0, made.err
    assert used(folder) == before
    [why] = study_in(folder, "s").others["why"]
    assert why == "begun outside of the study, which is sealed"
