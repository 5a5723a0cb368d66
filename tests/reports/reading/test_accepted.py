"""Which runs of an experiment a study takes for its cells: those that are what it wrote down of them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from report_pages import store_fixture, texts, tiny_fixture  # noqa: F401
from report_stores import ARMS, NAME, redefine, run_id, study_in, uri_of

from analysis.page import provenance
from experiments.config.identity import fingerprint
from experiments.config.presets import PRESETS
from experiments.config.text import to_json
from experiments.records.definition import Replacement, read_definition
from experiments.records.mlflow_store import connect
from experiments.records.run_record import RunRecord, write_record

SHARED = {"data": "d" * 64, "device": "cpu", "train.density": "uniform", "train.lr": "0.002"}
CELLS = [(arm, seed) for arm in ARMS for seed in range(2)]


def identity(arm: str, seed: int) -> dict[str, str]:
    return {**SHARED, "variant": ARMS[arm], "seed": str(seed)}


@pytest.fixture
def known(store):
    """The made-up study with what each cell is written down, and runs that are so."""
    found = read_definition(connect(uri_of(store)), NAME)
    arms = tuple(replace(arm, identity={"variant": arm.spec}) for arm in found.arms)
    redefine(store, identity=SHARED, arms=arms)
    for arm, seed in CELLS:
        tell(store, arm, seed, identity(arm, seed))
    return store


def tell(store: Path, arm: str, seed: int, found: dict[str, str]) -> None:
    """Let the run of a cell say by its fingerprint that it has this identity."""
    connect(uri_of(store)).set_tag(run_id(store, arm, seed), "fingerprint", fingerprint(found))


def keep(store: Path, tmp_path: Path, arm: str, seed: int, found: dict[str, str]) -> None:
    """The same, and let its config.json have it."""
    tell(store, arm, seed, found)
    config = to_json(replace(PRESETS["smoke"], variant=ARMS[arm], seed=seed))
    record = RunRecord(id="u", created=0.0, pairing={}, origin={}, identity=found, config=config)
    write_record(tmp_path / "config.json", record)
    connect(uri_of(store)).log_artifact(run_id(store, arm, seed), str(tmp_path / "config.json"))


def as_before(found: dict[str, str]) -> dict[str, str]:
    """An identity in the words of an earlier version."""
    return {"train.t_density" if key == "train.density" else key: text for key, text in found.items()}


def why(store: Path) -> list[tuple[str, int, str]]:
    found = study_in(store).others
    return list(zip(found["arm"], found["seed"], found["why"], strict=True))


def test_runs_that_are_what_was_written_down_are_the_cells(known):
    study = study_in(known)
    assert list(study.cells["state"]) == ["done"] * 6
    assert study.others.empty
    assert not [line for line in provenance.cautions(study) if "earlier version" in line]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"train.lr": "0.001"}, "train.lr 0.001, expected 0.002"),
        ({"numerics": "2"}, "numerics 2, expected none"),
        ({"data": "e" * 64}, "data eeeeeeeeeeee..., expected dddddddddddd..."),
        (
            {"a": "1", "b": "2", "c": "3", "train.lr": "5"},
            "a 1, expected none; b 2, expected none; c 3, expected none; 1 more",
        ),
    ],
)
def test_a_run_that_is_another_is_none_and_its_fields_are_named(known, tmp_path, change, says):
    keep(known, tmp_path, "rope2d", 1, identity("rope2d", 1) | change)
    study, run = study_in(known), run_id(known, "rope2d", 1)
    assert why(known) == [("rope2d", 1, says)]
    assert study.partial
    assert study.cells["state"][3] == "missing"
    assert study.cells["message"][3] == f"not begun; run {run} is not its own: {says}"
    assert f"Run {run} of rope2d, seed 1, is not used: {says}." in texts(known)[1]


def test_a_run_is_known_by_what_its_config_says_and_not_by_its_version_s_words(known, tmp_path):
    keep(known, tmp_path, "twin", 0, as_before(identity("twin", 0)))
    assert why(known) == []
    assert study_in(known).cells["state"][4] == "done"


def test_a_study_of_an_earlier_version_knows_its_runs_by_their_words(known):
    for arm, seed in CELLS:
        tell(known, arm, seed, as_before(identity(arm, seed)))
    redefine(known, identity=as_before(SHARED))
    assert why(known) == []


def test_a_run_without_a_readable_config_is_none(known, tmp_path):
    tell(known, "rope2d", 0, {"train.lr": "0.001"})
    assert "the store has no config.json of it" in why(known)[0][2]
    keep(known, tmp_path, "rope2d", 0, identity("rope2d", 0))
    tell(known, "rope2d", 0, {"train.lr": "0.001"})
    record = json.loads((tmp_path / "config.json").read_text())
    record["identity"]["train.lr"] = "0.001"
    (tmp_path / "config.json").write_text(json.dumps(record))
    connect(uri_of(known)).log_artifact(run_id(known, "rope2d", 0), str(tmp_path / "config.json"))
    assert "its config.json was changed after it was written" in why(known)[0][2]


def test_an_arm_of_which_nothing_was_written_down_takes_the_newest_and_is_named(known):
    found = read_definition(connect(uri_of(known)), NAME)
    whole = [replace(arm, identity={**SHARED, **arm.identity}) for arm in found.arms]
    redefine(known, identity={}, arms=(*whole[:2], replace(whole[2], identity={})))
    tell(known, "twin", 0, {"train.lr": "0.001"})
    study = study_in(known)
    assert list(study.cells["state"]) == ["done"] * 6
    [line] = [line for line in provenance.cautions(study) if "earlier version" in line]
    assert "did not write down what twin are: of these the newest run of each seed counts" in line


def test_of_a_study_of_before_all_arms_are_said_to_be_unknown(store):
    [line] = [line for line in provenance.cautions(study_in(store)) if "earlier version" in line]
    assert "did not write down what its arms are" in line


def test_a_run_that_was_replaced_does_not_count(known):
    again = Replacement("twin", 1.8e9, ("plug-in variant twin: there a, now b",), ("u4",), (0,))
    redefine(known, replaced=(again,))
    assert why(known) == [("twin", 0, "the arm was trained again, as plug-in variant twin changed")]
    [said] = [line for line in provenance.cautions(study_in(known)) if "was replaced" in line]
    assert said.startswith("twin was replaced on 15 January 2027: plug-in variant twin changed; ")
    assert said.endswith("; 1 scored seed was left out.")


def test_runs_of_no_cell_are_counted_and_others_named_up_to_a_number(known, monkeypatch):
    redefine(known, seeds=(0,))
    assert {reason for _, _, reason in why(known)} == {"it is of no cell of the study"}
    said = provenance.cautions(study_in(known))
    assert "3 more runs lie in this experiment and are of no cell of the study." in said
    redefine(known, seeds=(0, 1), identity={**SHARED, "train.lr": "5"})
    monkeypatch.setattr(provenance, "MOST", 4)
    said = provenance.cautions(study_in(known))
    assert len([line for line in said if line.startswith("Run ")]) == 4
    assert "2 more runs of the study's cells are not used." in said
