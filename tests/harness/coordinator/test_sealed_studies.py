"""A study is sealed before its first run and at each growth and look; what was changed is refused or said."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from studies import QUICK, call_study, copied_study, made_study, plan_of

from analysis.judging import looks
from analysis.page import provenance
from analysis.study import Study, load_study
from experiments.config.study import study
from experiments.coordinator.ablate import hold, stages
from experiments.coordinator.plan import Plan
from experiments.coordinator.plan_ablation import plan_ablation
from experiments.coordinator.seals import counted, joined
from experiments.records.definition import read_definition
from experiments.records.mlflow_store import connect
from experiments.records.run_folder import Ending
from experiments.records.seal import sealed
from experiments.records.sealing.chain import (
    FILE,
    GROWN,
    LOOK,
    PLANNED,
    broken,
    extended,
    head,
    read_chain,
    write_chain,
)
from experiments.records.sealing.fields import sealable, unlike_its_chain
from rope_dit.errors import UserError

STUDY = ("--preset", "smoke", *QUICK, "--variants", "none", "--name", "s")
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a study `s` of one arm that was looked at with 3 and with 4 seeds, as planned."""
    folder = tmp_path_factory.mktemp("sealed")
    return folder, made_study(folder, *STUDY, "--looks", 3, 4, "--seeds", 4)


@pytest.fixture
def copy(finished, tmp_path, monkeypatch):
    """A copy of it to change."""
    return copied_study(finished[0], tmp_path, monkeypatch)


def report_of(folder: Path) -> Study:
    return load_study("s", f"sqlite:///{folder}/mlflow.db")


def edited(folder: Path, **changes: object) -> None:
    """Change study.json as one who knows of its SHA-256, and bring the store in step with it."""
    file = folder / "studies/s/study.json"
    file.write_text(json.dumps(sealed({**json.loads(file.read_text()), **changes})))
    result = call_study("--sync", "s")
    assert result.code == 0, result.err


@pytest.mark.slow
def test_planned_looks_are_taken_one_after_the_other_and_sealed(finished):
    folder, result = finished
    assert "verdicts at 3 and 4 seeds, as planned" in result.out
    assert result.out.count("report      ") == 2
    plan = plan_of(folder, "s")
    assert f"head {head(plan.chain[:1])[:12]}\n" in result.out
    assert [link.kind for link in plan.chain] == [PLANNED, LOOK, GROWN, LOOK]
    first, look, grown, _ = (link.says for link in plan.chain)
    assert (first["seeds"], first["planned seeds"], first["planned looks"]) == ("0 1 2", "4", "3 4")
    assert look == {"seeds": "3", "arms": "none", "scored": "3", "replaced": "0"}
    assert grown == {"seeds": "0 1 2 3"}
    assert [look.seeds for look in plan.looks] == [3, 4]
    assert (broken(plan.chain), unlike_its_chain(plan.definition())) == ("", [])


def test_the_chain_is_in_the_store_and_in_every_run_s_folder(finished):
    folder, _ = finished
    plan, uri = plan_of(folder, "s"), f"sqlite:///{folder}/mlflow.db"
    assert read_definition(connect(uri), "s") == plan.definition()
    assert [read_chain(cell.folder.path) for cell in plan.cells()] == [plan.chain] * 4
    began = [cell.folder.record.created for cell in plan.cells()]
    assert plan.chain[0].time < min(began)
    found = report_of(folder)
    assert (found.withheld, len(found.others), len(looks.counted(found)), found.partial) == ("", 0, 2, False)


def test_a_study_that_is_started_again_gets_no_link_more(copy):
    before = plan_of(copy, "s").chain
    result = call_study(*STUDY, "--seeds", 4)
    assert (result.code, "4 runs, 4 of them done" in result.out) == (0, True), result.err
    assert plan_of(copy, "s").chain == before


@pytest.mark.parametrize("args", [("--seeds", 3), ("--seeds", 4, "--margin", "0.3")])
def test_starting_again_without_study_json_is_refused_with_what_differs(copy, args):
    (copy / "studies/s/study.json").unlink()
    result = call_study(*STUDY, *args)
    assert (result.code, result.err.count("error: ")) == (2, 1)
    assert "studies/s has runs but no study.json; restore it, or choose another --name" in result.err
    assert "none-s0: planned looks: there 3 4, now -" in result.err
    assert ("none-s0: margin: there 0.05, now 0.3" in result.err) == ("--margin" in args)


def test_a_seed_that_was_cut_is_said_and_no_verdict_drawn(copy):
    edited(copy, seeds=[0, 1, 2])
    assert report_of(copy).withheld == "the study is not what was sealed: seeds: sealed 0 1 2 3, now 0 1 2"
    result = call_study(*STUDY, "--seeds", 4)
    assert result.code == 2
    assert "study.json is not what was sealed; restore it, or choose another --name" in result.err
    assert "seeds: sealed 0 1 2 3, now 0 1 2" in result.err


def test_a_margin_that_was_edited_is_said_and_no_verdict_drawn(copy):
    edited(copy, margin=0.3)
    assert report_of(copy).withheld == "the study is not what was sealed: margin: sealed 0.05, now 0.3"


def test_a_look_that_was_cut_is_in_every_run_s_seal(copy):
    """With its link, and so that what is left fits together."""
    saved = json.loads((copy / "studies/s/study.json").read_text())
    edited(copy, looks=saved["looks"][:1], chain=saved["chain"][:3])
    found = report_of(copy)
    assert (found.withheld, set(found.cells["state"])) == ("", {"missing"})
    assert all("sealed by what the study lacks: look on " in line for line in provenance.cautions(found)[:4])
    result = call_study(*STUDY, "--seeds", 4)
    assert (result.code, "has runs that are not of this study" in result.err) == (2, True)


def test_a_chain_that_was_made_anew_is_not_that_of_the_runs(copy):
    plan = replace(plan_of(copy, "s"), margin=0.3, chain=())
    chain = extended((), PLANNED, sealable(plan.definition()), plan.created)
    for look in plan.looks:
        chain = extended(chain, LOOK, look.says(), look.time)
    replace(plan, chain=chain).save()
    assert call_study("--sync", "s").code == 0
    found = report_of(copy)
    assert (found.withheld, set(found.cells["state"])) == ("", {"missing"})
    assert "begun under another plan: margin: there 0.05, here 0.3" in provenance.cautions(found)[0]


def test_a_run_that_lost_its_seal_is_begun_outside(copy):
    (copy / "studies/s/runs/none-s1" / FILE).unlink()
    result = call_study(*STUDY, "--seeds", 4)
    assert result.code == 2
    assert "none-s1: begun outside of the study, which is sealed" in result.err


def test_an_arm_whose_settings_were_edited_is_said_and_no_verdict_drawn(copy):
    """With what was written down of its identity, so that a run of other settings would be its own."""
    [[label, identity]] = json.loads((copy / "studies/s/study.json").read_text())["identities"].items()
    edited(copy, identities={label: {**identity, "train.lr": "0.5"}})
    assert "the study is not what was sealed: arm none: sealed " in report_of(copy).withheld


# Without a run that is trained


def planned(**more: object) -> Plan:
    small = {"variants": ("learned", "rope2d"), "eval": {"n": (100,)}, "name": "s", "seeds": 3}
    return plan_ablation(study("smoke", **{**small, **more}))[0]


@pytest.fixture
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def end(plan: Plan, *outcomes: str) -> None:
    """Let runs of the first cells have ended so."""
    for cell, outcome in zip(plan.cells(), outcomes, strict=False):
        cell.folder.path.mkdir(parents=True, exist_ok=True)
        write_chain(cell.folder.path, plan.chain)
        cell.folder.create({"seed": str(cell.seed)}, cell.config, {}, {})
        cell.folder.end(Ending("FAILED", outcome, "boom"))


@pytest.mark.usefixtures("_elsewhere")
def test_a_look_at_arms_that_always_fail_is_counted_and_at_a_missing_cell_not():
    with hold(planned(seeds=2)) as plan:
        end(plan, "error", "error", "diverged")
        assert counted(plan).looks == ()
        end(plan, *["error"] * 4)
        once = counted(plan)
    [look] = once.looks
    assert (look.seeds, look.arms, look.scored) == (2, ("learned", "rope2d"), 0)
    assert [link.kind for link in once.chain] == [PLANNED, LOOK]
    assert counted(once) is once


@pytest.mark.usefixtures("_elsewhere")
def test_what_was_whole_and_not_counted_is_counted_before_the_study_grows():
    asked = planned(seeds=3, variants=("learned", "rope2d", "none"))
    with hold(planned(seeds=2)) as plan:
        end(plan, *["error"] * 4)  # and then the coordinator is killed
    grown = joined(asked)
    assert [link.kind for link in grown.chain] == [PLANNED, LOOK, GROWN]
    assert [look.seeds for look in grown.looks] == [2]
    more = grown.chain[-1].says
    assert (more["arms"], more["seeds"]) == ("learned rope2d none", "0 1 2")
    assert more["comparisons"] == "rope2d:learned none:learned"
    assert more.keys() == {"arms", "seeds", "comparisons", "arm none"}
    assert unlike_its_chain(grown.definition()) == []


@pytest.mark.usefixtures("_elsewhere")
def test_a_run_that_began_outside_before_the_study_is_refused():
    asked = planned()
    end(asked, "finished")
    (asked.cells()[0].folder.path / FILE).unlink()
    with pytest.raises(UserError, match=r"studies/s has runs but no study\.json; restore it"):
        planned()


@pytest.mark.usefixtures("_elsewhere")
def test_looks_that_are_still_to_come_are_stages():
    plan = planned(seeds=7, looks=(3, 5, 7))
    assert [len(stage.seeds) for stage in stages(plan)] == [3, 5, 7]
    after = replace(plan, seeds=(0, 1, 2)).looked(6)
    assert [len(stage.seeds) for stage in stages(replace(plan, looks=after.looks))] == [5, 7]
    whole = plan.looked(14)
    assert [len(stage.seeds) for stage in stages(whole)] == [7]
    assert [len(stage.seeds) for stage in stages(planned(seeds=7))] == [7]


@pytest.mark.usefixtures("_elsewhere")
def test_planned_looks_are_frozen_and_need_not_be_said_again():
    with hold(stages(planned(looks=(3, 4), seeds=4))[0]):
        pass
    assert planned(seeds=4).planned_looks == (3, 4)
    with pytest.raises(UserError, match="holds another study") as caught:
        planned(looks=(3, 5), seeds=5)
    assert caught.value.details == ("looks: there 3 4, now 3 5",)


@pytest.mark.parametrize("looks", [(2, 3), (3, 3), (3,), (3, 2), tuple(range(3, 24))])
def test_looks_that_do_not_fit_the_seeds_are_refused(looks):
    seeds = looks[-1] if len(looks) > 2 else {(3,): 7}.get(looks, 3)
    with pytest.raises(
        UserError, match=r"looks got '.*', expected up to 20 rising numbers from 3 to --seeds"
    ):
        study("smoke", looks=looks, seeds=seeds)


@pytest.mark.usefixtures("_elsewhere")
def test_verdicts_stand_on_the_arms_to_confirm_and_on_no_other_that_is_added():
    arms = ("learned", "rope2d", "none", "rope1d")
    with hold(planned(variants=arms, confirm=("rope2d", "none"))) as plan:
        pass
    assert plan.comparisons == (("rope2d", "learned"), ("none", "learned"))
    assert plan.explored == (("rope1d", "learned"),)
    assert plan.chain[0].says["confirmed"] == "none rope2d"
    grown = planned(variants=(*arms, "sincos2d"))
    assert grown.comparisons == plan.comparisons
    assert grown.explored == (("rope1d", "learned"), ("sincos2d", "learned"))
    assert planned(variants=arms, confirm=("none", "rope2d")).confirmed == plan.confirmed
    with pytest.raises(UserError, match="holds another study") as caught:
        planned(variants=arms, confirm=("rope2d",))
    assert caught.value.details == ("confirm: there none rope2d, now rope2d",)


@pytest.mark.usefixtures("_elsewhere")
@pytest.mark.parametrize(
    ("confirm", "says"),
    [
        (
            ("rope3d",),
            "confirm got 'rope3d', expected arms that are compared: rope2d. Did you mean 'rope2d'?",
        ),
        (("learned",), "confirm got 'learned', expected arms that are compared: rope2d."),
        (("rope2d", "rope2d"), "confirm got 'rope2d rope2d', expected each arm once."),
    ],
)
def test_what_is_no_arm_to_confirm_is_refused(confirm, says):
    with pytest.raises(UserError) as caught:
        planned(confirm=confirm)
    assert str(caught.value).startswith(says)
