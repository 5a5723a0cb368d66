"""study.json and the files of cells: read, refused where they are damaged, and never older than the lock."""

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from studies import ODD, call_study, swapped, unsealed_json

from experiments.config.study import study
from experiments.config.text import to_json
from experiments.config.tuning import Range
from experiments.coordinator.ablate import hold
from experiments.coordinator.copies.resync import make_again
from experiments.coordinator.plan import Plan, read_plan
from experiments.coordinator.plan_ablation import plan_ablation
from experiments.coordinator.tuning.search import replay
from experiments.coordinator.tuning.tune import plan_tuning
from experiments.coordinator.worker import read_cell
from experiments.records.definition import Look
from experiments.records.seal import sealed
from experiments.runner import resolve
from rope_dit.errors import UserError

SMALL = {"variants": ("learned", "rope2d"), "eval": {"n": (100,)}, "name": "s"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.chdir(tmp_path)


def planned(seeds: int = 2, margin: float = 0.02) -> Plan:
    return plan_ablation(study("smoke", **SMALL, seeds=seeds, margin=margin))[0]


def used(plan: Plan) -> None:
    """Ask a plan for all that follows from it."""
    plan.cells(), plan.definition(), plan.identity()


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_a_study_with_one_thing_changed_is_read_or_refused(odd):
    plan = replace(planned(), looks=(Look(1.8e9, 2),))
    plan.save()
    file = plan.path / "study.json"
    for saved in swapped(unsealed_json(file), odd):
        file.write_text(json.dumps(saved))
        with contextlib.suppress(UserError):
            used(read_plan(plan.path))


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_a_tuning_with_one_fact_changed_is_read_or_refused(odd):
    plan, _, _ = plan_tuning(study("smoke", **SMALL), {"train.lr": Range(1e-4, 1e-2)})
    plan.save()
    file = plan.path / "study.json"
    saved = unsealed_json(file)
    for facts in swapped(saved["facts"], odd if odd in (None, []) else json.dumps(odd)):
        file.write_text(json.dumps({**saved, "facts": facts}))
        with contextlib.suppress(UserError):
            replay(read_plan(plan.path), lambda arm: "")


def test_a_tuning_whose_data_is_elsewhere_is_not_drawn_again(caplog):
    plan, _, _ = plan_tuning(study("smoke", **SMALL), {"train.lr": Range(1e-4, 1e-2)})
    gone = replace(plan.base, data=replace(plan.base.data, name="folder:/nowhere/at/all"))
    assert not make_again(replace(plan, base=gone))
    assert "Optuna's side of s is not made again: " in caplog.text
    assert make_again(plan)


def test_an_edited_record_is_named_and_one_of_before_seals_is_read():
    plan = planned()
    plan.save()
    file = plan.path / "study.json"
    saved = json.loads(file.read_text())
    file.write_text(json.dumps({**saved, "margin": 0.2}))
    with pytest.raises(
        UserError, match=r"study.json was changed after it was written .*; restore it, or choose"
    ):
        read_plan(plan.path)
    file.write_text(json.dumps({**unsealed_json(file), "margin": 0.2}))
    assert read_plan(plan.path).margin == 0.2


def before_units(margin: float) -> None:
    """A study as it was written before margins had units, and studies seals."""
    planned().save()
    file = Path("studies/s/study.json")
    saved = {key: value for key, value in unsealed_json(file).items() if key not in ("margin_unit", "chain")}
    file.write_text(json.dumps({**saved, "margin": margin}))


def test_the_margin_of_a_study_of_before_units_stays_a_share_of_the_mean():
    before_units(0.02)
    assert (read_plan(Path("studies/s")).margin_unit, planned().margin_unit) == ("mean", "mean")
    grown = planned(seeds=3)
    assert (grown.margin, grown.margin_unit, grown.seeds) == (0.02, "mean", (0, 1, 2))
    assert grown.definition().margin_text == "2 % of the baseline's mean"


@pytest.mark.parametrize(
    ("fields", "apart"),
    [
        ({"margin": 0.1}, ["margin: there 0.02, now 0.1"]),
        ({"margin_unit": "absolute"}, ["margin unit: there mean, now absolute"]),
    ],
)
def test_what_is_said_of_it_now_is_another_study(fields, apart):
    before_units(0.02)
    with pytest.raises(UserError, match="holds another study") as refused:
        plan_ablation(study("smoke", **SMALL, seeds=2, **fields))
    assert list(refused.value.details) == apart


@pytest.mark.parametrize("text", ["", "{", "\udcff", "[" * 100_000, "null", "[]", "{}"])
def test_what_is_no_record_of_a_study_is_refused_in_one_line(text):
    Path("studies/s").mkdir(parents=True)
    Path("studies/s/study.json").write_bytes(text.encode(errors="surrogateescape"))
    result = call_study("smoke", "--name", "s", "--dry-run")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "study.json" in result.err


def test_what_was_open_is_decided_once_on_whichever_machine_the_study_goes_on(monkeypatch):
    wide = {**SMALL, "model": {"dim": 128}}
    monkeypatch.setattr(resolve, "_cpu_has_bf16", lambda: True)
    first = plan_ablation(study("smoke", **wide))[0]
    first.save()
    monkeypatch.setattr(resolve, "_cpu_has_bf16", lambda: False)
    again = plan_ablation(study("smoke", **wide))[0]
    decided = {cell.config.train.precision for plan in (first, again) for cell in plan.cells()}
    assert decided == {"bf16"}
    new = plan_ablation(study("smoke", **{**wide, "name": "new"}))[0]
    assert new.cells()[0].config.train.precision == "fp32"


def test_a_look_of_another_process_is_kept():
    """It had the study after this one has read what it is, and before it holds it."""
    first = planned()
    first.save()
    asked = planned(seeds=3)
    with hold(planned()) as plan:
        plan.looked(scored=4).save()
    looks = read_plan(first.path).looks
    assert [look.seeds for look in looks] == [2]
    with hold(asked) as plan:
        assert (plan.looks, plan.seeds) == (looks, (0, 1, 2))
    assert read_plan(first.path).looks == looks
    with hold(planned()) as plan:  # asked for fewer, and got what there is
        assert plan.seeds == (0, 1, 2)


def test_another_study_that_took_the_name_meanwhile_is_refused():
    asked = planned()
    planned(margin=0.3).save()
    with pytest.raises(UserError, match="holds another study"), hold(asked):
        pass


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_a_cell_s_file_with_one_thing_changed_is_read_or_refused(odd):
    config, file = planned().cells()[0].config, Path("cell.json")
    for saved in swapped(to_json(config), odd):
        file.write_text(json.dumps(saved))
        with contextlib.suppress(UserError):
            assert read_cell(file).out is not None


def test_a_cell_s_file_that_was_edited_or_names_plug_ins_is_refused():
    config, file = planned().cells()[0].config, Path("cell.json")
    file.write_text(json.dumps(sealed(to_json(config))))
    assert read_cell(file) == config
    file.write_text(json.dumps({**sealed(to_json(config)), "seed": 5}))
    with pytest.raises(UserError, match="was changed after it was written"):
        read_cell(file)
    file.write_text(json.dumps(sealed(to_json(replace(config, plugins=Path("own"))))))
    with pytest.raises(UserError, match="was made with --plugins own; give --plugins with that folder"):
        read_cell(file)


def test_a_study_with_plug_ins_is_synced_with_them_only():
    plan = planned()
    replace(plan, base=replace(plan.base, plugins=Path("own"))).save()
    result = call_study("--sync", "s")
    assert result.code == 2
    assert "was made with --plugins own; give --plugins with that folder" in result.err
