"""The time grid `sharp` in a study: measured once, on the baseline's first run, and used by all."""

import json
import shutil

import pytest
from commands import call, snapshot, timeless
from studies import QUICK, call_study, made_study, plan_of

from experiments.coordinator.sharp import profile
from experiments.records.seal import unsealed
from experiments.records.sealing.chain import LOOK, PLANNED, read_chain
from rope_dit.errors import Stopped, UserError
from rope_dit.registry import show
from rope_dit.samplers.spec import SamplerSpec

ASKED = ("euler:steps=1", "euler:steps=4,grid=sharp", "heun:steps=2,grid=sharp")
SMALL = ("smoke", *QUICK[:4], "--eval.n", "100", "--variants", "none", "rope2d", "--baseline", "rope2d")
STUDY = (*SMALL, "--seeds", "1", "--name", "s", "--samplers", *ASKED)
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sharp")
    return folder, made_study(folder, *STUDY)


@pytest.fixture
def copy(made, tmp_path, monkeypatch):
    """A copy of it, the current folder."""
    shutil.copytree(made[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def record_of(folder):
    return json.loads((folder / "studies" / "s" / "sharp.json").read_text())


def test_every_run_is_scored_with_the_profile_of_the_baselines_first(made):
    folder, result = made
    plan, record = plan_of(folder, "s"), record_of(folder)
    baseline = next(cell for cell in plan.cells() if cell.arm == "rope2d")
    assert "grid sharp: rope2d-s0 comes first" in result.out
    assert (record["arm"], record["seed"], record["train_step"]) == ("rope2d", 0, 20)
    assert record["run"] == baseline.folder.record.id
    assert len(record["changes"]) == 128
    profile = show(tuple(record["profile"]))
    expected = ["euler:grid=uniform,steps=1"]
    expected += [f"{name}:grid=sharp,profile={profile},steps={n}" for name, n in (("euler", 4), ("heun", 2))]
    assert [*map(str, plan.base.eval.sampler_specs)] == expected
    assert str(plan.endpoint().sampler) == expected[0]
    for cell in plan.cells():
        rows = [row for row in timeless(cell.folder.path) if row["metric"] == "fd_digits"]
        assert [(row["sampler"], row["grid"]) for row in rows] == [
            (text, SamplerSpec.parse(text).grid) for text in expected
        ]


def test_the_baseline_is_trained_first_and_once(made):
    plan = plan_of(made[0], "s")
    began = {cell.arm: cell.folder.record.created for cell in plan.cells()}
    assert began["rope2d"] < began["none"]
    checkpoints = {cell.arm: len([*(cell.folder.path / "checkpoints").iterdir()]) for cell in plan.cells()}
    assert checkpoints["rope2d"] == checkpoints["none"]


def test_what_was_measured_is_sealed_and_leaves_the_studys_chain_as_it_was(made):
    """Of samplers the chain holds the endpoint's alone: others are exploratory."""
    plan, study = plan_of(made[0], "s"), made[0] / "studies" / "s"
    for name in ("sharp.json", "study.json"):
        assert unsealed(json.loads((study / name).read_text()), name, "")[1]
    assert [link.kind for link in plan.chain] == [PLANNED, LOOK]
    assert all(read_chain(cell.folder.path) == plan.chain for cell in plan.cells())


def test_asked_again_nothing_is_measured_anew(copy):
    before = (copy / "studies/s/sharp.json").read_bytes()
    again = call_study(*STUDY)
    assert again.code == 0, again.err
    assert "comes first" not in again.out
    assert "2 runs, 2 of them done" in again.out
    assert (copy / "studies/s/sharp.json").read_bytes() == before


@pytest.mark.slow
def test_a_study_that_is_there_grows_by_it(copy):
    """With another number of steps, and the same profile."""
    grown = call_study(*STUDY, "euler:steps=3,grid=sharp")
    assert grown.code == 0, grown.err
    assert "comes first" not in grown.out
    specs = plan_of(copy, "s").base.eval.sampler_specs
    assert len({dict(spec.grid_options)["profile"] for spec in specs if spec.grid == "sharp"}) == 1
    assert [spec.steps for spec in specs] == [1, 4, 2, 3]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda file: file.unlink(), "sharp.json is gone, and the study has samplers by it; restore it"),
        (lambda file: file.write_text(file.read_text().replace("0.0", "0.1", 1)), "was changed after it was"),
    ],
)
def test_a_record_that_is_gone_or_was_changed_is_refused(copy, change, says):
    change(copy / "studies/s/sharp.json")
    before = snapshot(copy)
    refused = call_study(*STUDY)
    assert (refused.code, says in refused.err) == (2, True)
    assert snapshot(copy) == before


@pytest.mark.parametrize(
    "asked",
    [
        ("--samplers", "euler:grid=sharp", "euler:steps=1"),
        ("--samplers", "euler:steps=1", "euler:grid=sharp", "--endpoint.sampler", "euler:grid=sharp"),
        ("--samplers", "euler:grid=sharp,profile=0/0.5/1"),
    ],
)
def test_it_cannot_be_the_endpoints_sampler(tmp_path, monkeypatch, asked):
    monkeypatch.chdir(tmp_path)
    refused = call_study(*SMALL, "--seeds", "1", "--name", "s", *asked)
    assert refused.code == 2
    assert refused.err.startswith("error: the endpoint's sampler got grid=sharp, which favours the baseline")
    assert not (tmp_path / "studies").exists()


def test_elsewhere_it_is_refused_with_how_to_get_it(tmp_path, monkeypatch):
    """Tuning scores with the first sampler alone."""
    monkeypatch.chdir(tmp_path)
    for command in (("run", "--preset", "smoke"), ("study", "tune", "smoke", "--name", "t")):
        refused = call(*command, "--eval.samplers", "euler:grid=sharp", "euler:steps=1")
        assert refused.code == 2, refused.out
        assert "grid sharp got no profile: a study that compares arms measures it" in refused.err
    with pytest.raises(UserError, match="grid sharp got no profile"):
        SamplerSpec.parse("euler:grid=sharp").build()


@pytest.mark.slow
def test_one_that_was_stopped_before_it_was_measured_goes_on_with_the_run_that_it_has(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")

    def stopped(*_):
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(profile, "_measure", stopped)
        assert call_study(*STUDY).code != 0
    first = next(cell for cell in plan_of(tmp_path, "s").cells() if cell.arm == "rope2d")
    identity, state = first.folder.record.id, first.state()
    assert (state, (tmp_path / "studies/s/sharp.json").exists()) == ("done", False)
    again = call_study(*STUDY)
    assert again.code == 0, again.err
    assert record_of(tmp_path)["run"] == identity
    assert [cell.state() for cell in plan_of(tmp_path, "s").cells()] == ["done", "done"]
