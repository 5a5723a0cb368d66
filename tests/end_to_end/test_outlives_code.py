"""What commit 2cdd03a left behind goes on: runs are resumed, scored, sampled; studies grown and reported."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import SMOKE, call, rows
from old_records import (  # noqa: F401  fixtures
    STUDY,
    agree,
    new_rows,
    old_fixture,
    old_rows,
    same_machine_fixture,
    unpacked_fixture,
    weights,
)
from studies import call_study, plan_of

from analysis import load
from analysis.page.provenance import cautions
from analysis.report import compute
from experiments.cli.arguments import parse
from experiments.config.study import StudyConfig
from experiments.coordinator.cell import FINAL
from experiments.coordinator.plan import read_saved
from experiments.coordinator.plan_ablation import plan_ablation
from experiments.records.mlflow_store import connect, tracking_uri
from experiments.study import read_arguments
from rope_dit.checkpoint import Checkpoints


def done(*args: object) -> None:
    """Carry out a command of today, which must end well."""
    result = call(*args)
    assert result.code == 0, result.err


def test_an_unfinished_run_is_resumed_to_the_bits_it_would_have_had(old, same_machine):
    done("run", *SMOKE, "--variant", "learned+rope2d", "--seed", "1", "--out", "runs/unfinished")
    agree(new_rows(Path("runs/unfinished")), old_rows(Path("runs/expected/scores.csv")), same_machine)
    if same_machine:
        assert weights(Path("runs/unfinished")) == json.loads(
            Path("runs/expected/weights_sha256.json").read_text()
        )


def test_a_finished_run_is_found_and_scored_under_one_more_sampler(old, same_machine):
    done("run", *SMOKE, "--out", "runs/finished")  # what is measured on pixels came later
    again = call("run", *SMOKE, "--out", "runs/finished")
    assert (again.code, "is finished; nothing to do" in again.out) == (0, True), again.err
    there = call("evaluate", "runs/finished")
    assert "has all these scores; nothing to do" in there.out, there.err
    done("evaluate", "runs/finished", "--samplers", "rk4:steps=2")
    agree(new_rows(Path("runs/finished")), old_rows(Path("runs/expected_evaluate.csv")), same_machine)


def test_a_finished_run_is_sampled_from(old, same_machine):
    done("sample", "runs/finished", "--n", "20", "--out", "new.npz")
    with np.load("new.npz") as found, np.load("runs/expected_sample.npz") as expected:
        assert (found["arr_1"] == expected["arr_1"]).all()
        if same_machine:
            assert (found["arr_0"] == expected["arr_0"]).all()


def test_an_old_run_has_the_average_that_it_kept_and_its_weights(old):
    before = len(rows(Path("runs/finished")))
    refused = call("run", *SMOKE, "--train.averages", "power", "--out", "runs/finished")
    assert refused.code == 2
    assert "did not keep 'power' from its start; it has 0.9" in refused.err
    done = call("evaluate", "runs/finished", "--averages", "raw", "--samplers", "rk4:steps=1")
    assert (done.code, done.err) == (0, "")
    assert {row["ema"] for row in rows(Path("runs/finished"))[before:]} == {"raw"}
    client = connect(tracking_uri())
    number = client.get_experiment_by_name("rope-dit").experiment_id
    found = [name for run in client.search_runs([number]) for name in run.data.metrics]
    assert [name for name in found if name.startswith("fd_digits/rk4")] == ["fd_digits/rk4-1-cfg1-ema-raw"]


def test_a_run_is_found_again_whatever_its_folder_was_called(old):
    """Its folder is named after a fingerprint that held the bytes of the variant's file."""
    told = call("run", *SMOKE, "--variant", "none", "--runs", "by_name", "--dry-run")
    assert "by_name/none-s0-8774259f" in told.out, told.err
    other = call("run", *SMOKE, "--variant", "none", "--runs", "by_name", "--dry-run", "--train.lr", "1e-4")
    assert "by_name/none-s0-" in other.out
    assert "8774259f" not in other.out


def test_what_acts_on_nothing_is_no_difference(old):
    given = (*SMOKE, "--model.no-conditional", "--out", "runs/unconditional", "--dry-run")
    assert call("run", *given, "--train.label-dropout", "0.3").code == 0
    refused = call("run", *given, "--train.lr", "1e-4")
    assert (refused.code, "train.lr: there 0.002, now 0.0001" in refused.err) == (2, True)


def test_a_plug_in_s_run_is_known_by_what_its_file_says(old):
    given = (
        *SMOKE,
        "--variant",
        "rope1d_columns",
        "--plugins",
        "plugins",
        "--out",
        "runs/plugin",
        "--dry-run",
    )
    assert call("run", *given).code == 0
    file = Path("plugins/rope1d_columns.py")
    file.write_text(file.read_text() + "# a comment\n")
    refused = call("run", *given)
    assert refused.code == 2
    assert "variant source" in refused.err
    assert "experiments.runner.migrate runs/plugin" in refused.err
    migrated = call("migrate", "runs/plugin", "--plugins", "plugins")
    assert "plug-in variant rope1d_columns: there -, now" in migrated.out, migrated.err
    assert call("run", *given).code == 0
    assert "needs nothing" in call("migrate", "runs/plugin", "--plugins", "plugins").out
    file.write_text(file.read_text() + "# another comment\n")
    assert call("run", *given).code == 0
    file.write_text(file.read_text().replace("100.0", "99.0"))
    assert "plug-in variant rope1d_columns: there" in call("run", *given).err


def test_a_migrated_run_keeps_its_weights(old):
    """As for a run whose variant's file is none that ever shipped."""
    config = Path("runs/finished/config.json")
    record = json.loads(config.read_text())
    before = weights(Path("runs/finished"))
    of_then = Checkpoints(Path("runs/finished/checkpoints"), record["identity"]).load()
    record["identity"]["variant source"] = "0" * 64
    config.write_text(json.dumps(record))
    shutil.rmtree("runs/finished/checkpoints")
    Checkpoints(Path("runs/finished/checkpoints"), record["identity"]).save(*of_then)
    assert call("evaluate", "runs/finished").code == 2
    done = call("migrate", "runs/finished")
    assert "checkpoint of step 20 written again" in done.out, done.err
    assert weights(Path("runs/finished")) == before
    assert call("evaluate", "runs/finished").code == 0  # metrics that came later
    assert "nothing to do" in call("evaluate", "runs/finished").out


@pytest.mark.slow
def test_an_old_study_has_nothing_to_do_and_grows(old):
    before = {path: path.read_bytes() for path in Path("studies/old/runs").glob("*/metrics.jsonl")}
    same = call_study(*STUDY, "--seeds", "2", "--dry-run")
    assert "6 runs, 6 of them done" in same.out, same.err
    grown = call_study(*STUDY, "--seeds", "3", "--workers", "2")
    assert grown.code == 0, grown.err
    assert {path: path.read_bytes() for path in before} == before
    again = call_study(*STUDY, "--seeds", "3", "--dry-run")  # it was written anew, with what it did not know
    assert "9 runs, 9 of them done" in again.out, again.err
    plan = plan_of(Path(), "old")
    assert [cell.state() in FINAL for cell in plan.cells()] == [True] * 9
    assert [look.seeds for look in plan.looks] == [2, 3]
    scores = load.scores("old")
    assert set(scores["guidance"]) == {"cfg:begin=0,end=1,weight=1"}
    assert set(scores["sampling_seed"]) == {0}  # the seeds and arms of today have the noise of then
    assert scores.groupby("arm")["seed"].nunique().to_dict() == {"fast": 3, "learned": 3, "rope2d": 3}


def test_a_setting_that_the_old_study_had_otherwise_is_refused_by_name(old):
    refused = call_study(*STUDY, "--seeds", "2", "--model.depth", "3")
    assert refused.code == 2
    assert "model.depth: there 2, now 3" in refused.err


def test_an_old_study_s_guidances_are_those_it_had_and_grow(old):
    """They were weights that shared an interval."""
    file = Path("studies/old/study.json")
    saved = json.loads(file.read_text())
    saved["base"]["eval"] |= {"guidances": [1.0, 3.0], "guidance_interval": [0.2, 0.9]}
    file.write_text(json.dumps(saved))
    there = ("cfg:begin=0,end=1,weight=1", "cfg:begin=0.2,end=0.9,weight=3")
    assert plan_of(Path(), "old").definition().guidances == there
    assert "guidance_interval" not in read_saved(Path("studies/old")).base["eval"]  # as `as_before` sees it
    asked = [*STUDY, "--seeds", "2", "--eval.guidances", "2", "1", "--retrain"]  # of runs without weights
    _, default, _, words = read_arguments(asked)
    plan, _ = plan_ablation(parse(StudyConfig, default, words, "", ""))
    assert plan.base.eval.guidances == (*there, "cfg:begin=0,end=1,weight=2")
    refused = call_study(*STUDY, "--seeds", "2", "--eval.guidances", "3", "--dry-run")
    assert (
        "endpoint guidance: there cfg:begin=0,end=1,weight=1, now cfg:begin=0,end=1,weight=3" in refused.err
    )


def test_an_old_store_is_reported_as_it_was(old):
    contents = compute("old")
    assert "Every training seed was scored with the same noise" in " ".join(cautions(contents.study))
    with open("reports/old/comparisons.csv", newline="") as file:
        expected = list(csv.DictReader(file))
    assert {c.verdict for c in contents.compared} == {"inconclusive"}  # of two seeds there was a verdict then
    for found, row in zip(contents.compared, expected, strict=True):
        assert (found.arm, found.reference) == (row["arm"], row["reference"])
        assert found.difference.value == float(row["difference"])
        assert found.p == float(row["p"])


@pytest.mark.slow
def test_a_store_is_made_again_from_old_folders(old, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{old}/again.db")
    for name in ("old", "tuned"):
        assert call_study("--sync", name).code == 0
    there, again = (load.scores("old", f"sqlite:///{old}/{name}.db") for name in ("mlflow", "again"))
    assert sorted(there["value"]) == sorted(again["value"])


def test_what_was_tuned_is_confirmed(old):
    told = call_study("ablate", "--from-tuned", "tuned", "--dry-run")
    assert told.code == 0, told.err
    assert "learned-tuned" in told.out
