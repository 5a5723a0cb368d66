"""A study exported as small files and imported: nothing scored is trained again, nothing is just believed."""

import gzip
import hashlib
import json
import shutil
from pathlib import Path

import pytest
from commands import call
from studies import QUICK, Here, call_study, copied_study, made_study, plan_of

from analysis.judging.judge import judge
from analysis.study import load_study
from experiments.coordinator.cell_queue import CellQueue
from experiments.coordinator.copies.files import FILE, PACKED, read_manifest
from experiments.records.seal import sealed
from experiments.scoring import jobs

STUDY = ("--preset", "smoke", *QUICK, "--variants", "none", "learned", "--name", "s")
MIDPOINT = tuple("midpoint:steps=1" if word == "heun:steps=1" else word for word in STUDY)
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a study `s` of two arms and two seeds, and its export in `kept`."""
    folder = tmp_path_factory.mktemp("exported")
    made_study(folder, *STUDY, "--seeds", 2)
    said = made_study(folder, "--export", "kept", "s")
    return folder, said


@pytest.fixture
def kept(finished, tmp_path, monkeypatch):
    """A copy of the export, in an empty folder without a store."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(finished[0] / "kept", "kept"))


@pytest.fixture
def trained(monkeypatch):
    """Names of the cells that are worked on from now on."""
    names = []
    start = Here.start
    monkeypatch.setattr(Here, "start", lambda self, task: names.append(task.name) or start(self, task))
    return names


def snapshot(folder: Path) -> dict[str, bytes]:
    files = [p for p in folder.rglob("*") if p.is_file() and p.name not in ("lock", "owner", "optuna.db")]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def repack(kept: Path, path: str, content: bytes) -> None:
    """Change a file as one who knows of the manifest."""
    place = kept / (f"{path}.gz" if path.endswith(PACKED) else path)
    place.write_bytes(gzip.compress(content) if path.endswith(PACKED) else content)
    found = json.loads((kept / FILE).read_text())
    found["files"][path] = hashlib.sha256(content).hexdigest()
    (kept / FILE).write_text(json.dumps(sealed(found)))


def test_an_export_is_small_and_has_neither_weights_nor_pictures(finished):
    folder, said = finished
    files = [p for p in (folder / "kept").rglob("*") if p.is_file()]
    assert {p.name for p in files} == {
        *("export.json", "study.json", "config.json", "seal.json", "ending.json"),
        *("scores.csv.gz", "metrics.jsonl.gz"),
    }
    size = sum(p.stat().st_size for p in files)
    assert size < 4 * 20_000
    assert said.out == f"4 of 4 runs of study s, {size / 1e6:.2f} MB, are in kept\n"


def test_an_imported_study_has_the_numbers_of_its_origin(finished, kept):
    result = call_study("--import", kept)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0] == f"4 runs of kept are in {Path('studies/s').absolute()}, 4 of them new"
    assert lines[1] == "4 of 4 runs of study s are done"
    assert lines[2].endswith("trained again: none-s0, learned-s0, none-s1 and learned-s1")
    assert lines[-1] == "s is in step with its run folders"
    here, there = (load_study("s", f"sqlite:///{place}/mlflow.db") for place in (Path.cwd(), finished[0]))
    assert here.endpoint().equals(there.endpoint())
    assert len(here.endpoint()) == 4
    assert [str(one) for one in judge(here)] == [str(one) for one in judge(there)]
    assert here.definition == there.definition
    assert Path("studies/s/study.json").read_bytes() == (kept / "study.json").read_bytes()


def test_importing_twice_changes_nothing(kept):
    call_study("--import", kept)
    before = snapshot(Path("studies"))
    result = call_study("--import", kept)
    assert (result.code, result.out.splitlines()[0][-14:]) == (0, " 0 of them new")
    assert snapshot(Path("studies")) == before


def test_growing_an_imported_study_trains_the_new_cells_alone(kept, trained):
    call_study("--import", kept)
    scores = {name: c for name, c in snapshot(Path("studies/s/runs")).items() if name.endswith("scores.csv")}
    made_study(Path.cwd(), *STUDY, "--seeds", 3)
    assert trained == ["none-s2", "learned-s2"]
    assert {name: snapshot(Path("studies/s/runs"))[name] for name in scores} == scores
    assert len(load_study("s", f"sqlite:///{Path.cwd()}/mlflow.db").endpoint()) == 6


def test_what_needs_weights_is_refused_by_name_and_trained_again_on_demand(kept, trained):
    call_study("--import", kept)
    before = snapshot(Path("studies"))
    more = (*MIDPOINT, "--seeds", 2)
    result = call_study(*more)
    assert result.code == 2
    assert result.err.splitlines()[0] == (
        "error: 4 runs have no weights here and would have to be trained again for what they lack; ask for "
        "less, or train them: --retrain."
    )
    assert "none-s0: midpoint:grid=uniform,steps=1, guidance" in result.err.splitlines()[1]
    assert (snapshot(Path("studies")), trained) == (before, [])
    made_study(Path.cwd(), *more, "--retrain")
    assert sorted(trained) == ["learned-s0", "learned-s1", "none-s0", "none-s1"]
    first = plan_of(Path.cwd(), "s").cells()[0]
    times = {score.key.sampler: score.time for score in first.folder.scores()}
    assert first.has_weights()
    assert max(times, key=lambda sampler: times[sampler]).startswith("midpoint")
    assert (
        json.loads((first.folder.path / "config.json").read_text())["id"]
        == (json.loads(before["s/runs/none-s0/config.json"])["id"])
    )


def test_metrics_that_came_later_are_said_and_hold_nothing_up(kept, trained, monkeypatch):
    now = jobs.measures_on("digits")
    monkeypatch.setattr(jobs, "measures_on", lambda _: {**now, "later": now["fd"]})
    result = call_study("--import", kept)
    said = "4 runs without weights were not scored with later_digits, which would need them trained again"
    assert said in result.out.splitlines()
    result = call_study(*STUDY, "--seeds", 2, "--dry-run")
    assert result.code == 0, result.err
    assert said in result.out.splitlines()
    assert "4 runs, 4 of them done" in result.out


def test_evaluating_a_run_without_weights_says_where_they_are(kept):
    call_study("--import", kept)
    result = call("evaluate", "studies/s/runs/none-s0", "--samplers", "midpoint:steps=1")
    assert result.code == 2
    assert result.err.startswith("error: studies/s/runs/none-s0 has no weights here: it was imported, or")


@pytest.mark.parametrize("name", ["study.json", "runs/none-s0/scores.csv", "runs/none-s1/config.json"])
def test_a_file_that_was_changed_is_refused_by_name(kept, name):
    place = kept / (f"{name}.gz" if name.endswith(PACKED) else name)
    content = gzip.decompress(place.read_bytes()) if name.endswith(PACKED) else place.read_bytes()
    changed = content.replace(b"0.9", b"0.8")
    assert changed != content
    place.write_bytes(gzip.compress(changed) if name.endswith(PACKED) else changed)
    result = call_study("--import", kept)
    assert result.code == 2
    assert result.err.startswith(f"error: {place} was changed after it was exported")
    assert not Path("studies/s").exists()


@pytest.mark.parametrize("name", ["study.json", "runs/none-s0/scores.csv", "runs/none-s1/config.json"])
def test_a_file_that_was_changed_with_its_manifest_is_refused_too(kept, name):
    place = kept / (f"{name}.gz" if name.endswith(PACKED) else name)
    content = gzip.decompress(place.read_bytes()) if name.endswith(PACKED) else place.read_bytes()
    repack(kept, name, content.replace(b"0.9", b"0.8"))
    result = call_study("--import", kept)
    assert result.code == 2
    assert result.err.startswith(f"error: {kept / name} ")
    assert not Path("studies/s").exists()


def test_a_run_of_other_settings_is_refused(kept):
    """Whoever edits a config.json and all that seals it still cannot make it a cell of this study."""
    found = json.loads((kept / "runs/none-s0/config.json").read_text())
    found["identity"]["train.lr"] = "0.5"
    repack(kept, "runs/none-s0/config.json", json.dumps(sealed(found)).encode())
    result = call_study("--import", kept)
    assert result.code == 2
    assert f"{kept}/runs/none-s0/config.json is not of arm none, seed 0" in result.err
    assert "train.lr: there 0.5" in result.err
    assert not Path("studies/s").exists()


def test_manifests_do_not_lead_out_of_the_folder(kept):
    found = json.loads((kept / FILE).read_text())
    found["files"]["runs/../../../etc/passwd"] = "0"
    (kept / FILE).write_text(json.dumps(sealed(found)))
    result = call_study("--import", kept)
    assert result.code == 2
    assert result.err.startswith(f"error: {kept / FILE}: ")


def test_an_import_over_another_study_is_refused(kept, monkeypatch):
    monkeypatch.setattr(CellQueue, "carry_out", lambda self, cells: None)
    call_study(*STUDY, "--seeds", 2, "--margin", 0.1)
    before = snapshot(Path("studies"))
    result = call_study("--import", kept)
    assert result.code == 2
    assert "s is another study than that in kept; import it with other --studies. They" in result.err
    assert "margin: here 0.1, there 0.05" in result.err
    assert snapshot(Path("studies")) == before


def test_the_same_plan_made_twice_is_not_one_study(kept, monkeypatch):
    """What was sealed at two times was looked at twice."""
    monkeypatch.setattr(CellQueue, "carry_out", lambda self, cells: None)
    call_study(*STUDY, "--seeds", 2)
    result = call_study("--import", kept)
    assert result.code == 2
    assert "were planned, grown or looked at apart from each other" in result.err


def test_a_study_that_grew_elsewhere_brings_what_is_new(finished, kept, trained, tmp_path, monkeypatch):
    """Scores of other samplers too, of runs that are here already."""
    call_study("--import", kept)
    elsewhere = copied_study(finished[0], tmp_path / "elsewhere", monkeypatch)
    made_study(elsewhere, *MIDPOINT, "--seeds", 3)
    made_study(elsewhere, "--export", "kept", "s")
    trained.clear()
    monkeypatch.chdir(tmp_path)
    assert read_manifest(Path("elsewhere/kept")).files.keys() > read_manifest(kept).files.keys()
    result = call_study("--import", "elsewhere/kept")
    assert result.code == 0, result.err
    assert "2 of them new" in result.out
    assert (
        "more scores of runs that were here already: none-s0, learned-s0, none-s1 and learned-s1"
        in result.out
    )
    assert plan_of(Path.cwd(), "s").seeds == (0, 1, 2)
    assert [cell.state() for cell in plan_of(Path.cwd(), "s").cells()] == ["done"] * 6
    before = snapshot(Path("studies"))
    assert call_study("--import", kept).code == 0  # the older one has nothing that is not here
    assert snapshot(Path("studies")) == before
    assert trained == []


def test_an_export_takes_the_place_of_nothing_else(finished, tmp_path, monkeypatch):
    copied_study(finished[0], tmp_path, monkeypatch)
    Path("other").mkdir()
    Path("other/thesis.tex").write_text("x")
    result = call_study("--export", "other", "s")
    assert (result.code, Path("other/thesis.tex").read_text()) == (2, "x")
    assert result.err == "error: --export: other holds files that are no export; choose an empty folder.\n"
    assert call_study("--export", "kept", "nosuch").err.startswith(
        "error: no study 'nosuch'; in studies there"
    )


def test_cells_that_are_not_done_are_left_out_and_said(finished, tmp_path, monkeypatch):
    copied_study(finished[0], tmp_path, monkeypatch)
    Path("studies/s/runs/learned-s1/ending.json").unlink()
    result = call_study("--export", "some", "s")
    assert result.out.splitlines()[1] == "left out, for they are not done: learned-s1"
    assert not Path("some/runs/learned-s1").exists()
