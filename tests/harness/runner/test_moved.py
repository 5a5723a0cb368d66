"""Runs whose pictures, extractor or whole project lie elsewhere than when they were trained."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
from commands import QUICK, call, rows
from painting import noise, paint

from experiments.config.presets import preset
from experiments.config.run import DataConfig, EvalConfig, RunConfig
from experiments.config.study import study
from experiments.coordinator.plan_ablation import plan_ablation
from experiments.coordinator.seals import seal_new_run
from experiments.datasets import load
from experiments.records.paths import brought, located
from experiments.records.run_folder import RunFolder
from experiments.records.seal import SEAL
from experiments.runner.run import run
from rope_dit.errors import UserError

EXTRACTOR = ("--width", "4", "--epochs", "1", "--batch", "32", "--data.held-out", "0.4")
RUN = (*QUICK, "--data.held-out", "0.4", "--out", "run", "--eval.extractor", "x.safetensors")


@pytest.fixture(name="made", scope="module")
def made_fixture(tmp_path_factory):
    """A project with pictures, an extractor of its own and a run, all named by relative paths."""
    project = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project}/mlflow.db")
        patch.setenv("ROPE_DIT_CACHE", str(project / "cache"))
        for label in "ab":
            for i in range(30):
                paint(Path("my pics", label, f"{i}.png"), noise(i + 100 * ord(label), 8, 8, 3))
        for command, words in (
            ("train_extractor", ("--data", "folder:my pics", "--out", "x.safetensors", *EXTRACTOR)),
            ("run", ("--data", "folder:my pics", *RUN)),
        ):
            result = call(command, *words)
            assert result.code == 0, result.err
    return project


@pytest.fixture(name="project")
def project_fixture(made, tmp_path, monkeypatch):
    """A copy of it in another place, as after a move; the current folder is yet another one."""
    (tmp_path / "else").mkdir()
    monkeypatch.chdir(tmp_path / "else")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{made}/mlflow.db")
    monkeypatch.setenv("ROPE_DIT_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(made, tmp_path / "project"))


def sample(run_folder, *words):
    return call("sample", run_folder, "--n", "5", "--out", f"{len(list(Path.cwd().iterdir()))}.npz", *words)


def test_what_is_kept_holds_in_every_working_directory(made, project):
    written = json.loads((made / "run" / "config.json").read_text())["config"]
    assert written["data"]["name"] == f"folder:{made}/my pics"
    assert written["data"]["root"] == f"{made}/data"
    assert written["eval"]["extractor"] == f"{made}/x.safetensors"
    result = sample(made / "run")
    assert result.code == 0, result.err


def test_a_run_s_command_makes_it_again_from_elsewhere(made, project):
    record = RunFolder(made / "run").record
    words = shlex.split(record.origin["command"])
    assert words[:3] == ["python", "-m", "experiments.run"]
    words[words.index("--out") + 1] = "again"
    result = call("run", *words[3:])
    assert result.code == 0, result.err
    assert RunFolder(Path("again")).record.identity == record.identity


def test_the_name_of_a_run_folder_knows_no_path(made, project):
    (name,) = {made_in(place, made) for place in (project, made)}
    assert name.startswith("rope2d-s0-")


def made_in(place, made):
    """Name of the folder that a new run gets where its pictures lie in `place`."""
    result = call("run", *QUICK, "--data.held-out", "0.4", "--data", f"folder:{place}/my pics", "--runs", "r",
                  "--eval.extractor", f"{place}/x.safetensors", "--dry-run")  # fmt: skip
    return next(line for line in result.out.splitlines() if line.startswith("run folder")).rpartition("/")[2]


def test_pictures_that_moved_are_said_with_data_and_others_are_refused(project):
    (project / "my pics").rename(project / "archive")
    make_old(project, "folder:/nowhere/at all")
    result = sample(project / "run")
    assert result.code == 2
    assert "nowhere/at all: No such file or directory. Expected --data folder:PATH" in result.err
    result = sample(project / "run", "--data", f"folder:{project}/archive")
    assert result.code == 0, result.err
    paint(project / "archive" / "a" / "0.png", noise(7, 8, 8, 3))
    for command in (sample, evaluate):
        result = command(project / "run", "--data", f"folder:{project}/archive")
        assert result.code == 2
        assert "was trained on other pictures than these" in result.err
        assert f"these are folder:{project}/archive, with fingerprint" in result.err


def evaluate(run_folder, *words):
    return call("evaluate", run_folder, "--samplers", "heun:steps=1", *words)


def make_old(project, data, extractor="x.safetensors"):
    """Let the run's record be one of an earlier version, with paths as they were given."""
    file = project / "run" / "config.json"
    written = json.loads(file.read_text())
    written.pop(SEAL, None)
    written["config"]["data"]["name"] = data
    written["config"]["eval"]["extractor"] = extractor
    file.write_text(json.dumps(written))


def test_relative_paths_of_earlier_versions_are_found_from_the_run(project, caplog):
    make_old(project, "folder:my pics")
    result = sample(project / "run")
    assert result.code == 0, result.err
    assert not caplog.records
    result = evaluate(project / "run")
    assert result.code == 0, result.err
    assert f"extractor x.safetensors: taken from {project}/x.safetensors" in caplog.text
    assert len(rows(project / "run")) > len({row["metric"] for row in rows(project / "run")})


def test_a_project_that_moved_as_a_whole_goes_on(project, made):
    (made / "my pics").rename(made / "hidden")
    try:
        config = RunFolder(project / "run").record.settings
        assert brought(config, project / "run").data.name == f"folder:{project}/my pics"
        result = sample(project / "run")
        assert result.code == 0, result.err
    finally:
        (made / "hidden").rename(made / "my pics")


def test_an_extractor_that_moved_is_said_with_extractor(project):
    kept = project / "kept" / "mine.safetensors"
    kept.parent.mkdir()
    (project / "x.safetensors").rename(kept)
    make_old(project, "folder:my pics", "gone.safetensors")
    result = evaluate(project / "run")
    assert result.code == 2
    assert "(evaluate: --extractor)" in result.err
    result = evaluate(project / "run", "--extractor", kept)
    assert result.code == 0, result.err
    assert "fd_mine" in {row["metric"] for row in rows(project / "run")}


def test_a_study_goes_on_where_its_pictures_are_now(project, made, tmp_path):
    def planned(place, seeds):
        config = study(
            "smoke",
            name="s",
            variants=("none",),
            seeds=seeds,
            studies=tmp_path / "studies",
            data=DataConfig(name=f"folder:{place}/my pics", held_out=0.4),
            eval={
                "extractor": f"{place}/x.safetensors",
                "n": (10,),
                "every": 0,
                "samplers": ("euler:steps=1",),
            },
        )
        plan, _ = plan_ablation(config)
        plan.save()
        return plan

    first = planned(made, 1)
    seal_new_run(first.cells()[0].folder.path, first.path)  # as its worker does
    assert run(first.cells()[0].config, lambda: False) == 0
    second = planned(project, 2)
    done, new = second.cells()
    assert (done.state(), new.state()) == ("done", "missing")
    assert new.config.data.name == f"folder:{project}/my pics"
    assert run(done.config, lambda: False) == 0
    paint(project / "my pics" / "a" / "0.png", noise(7, 8, 8, 3))
    with pytest.raises(UserError, match="holds another study") as refused:
        planned(project, 2)
    assert [line for line in refused.value.details if line.startswith("data fingerprint")]


@pytest.mark.parametrize("extractor", ["~/x.safetensors", "file:~/x.safetensors"])
def test_home_is_understood_everywhere(project, monkeypatch, extractor):
    monkeypatch.setenv("HOME", str(project))
    config = located(
        RunConfig(data=DataConfig(name="folder:~/my pics", root="~/d"), eval=EvalConfig(extractor=extractor))
    )
    assert config.data == DataConfig(name=f"folder:{project}/my pics", root=project / "d")
    assert config.eval.extractor == extractor.replace("~", str(project))
    result = call("run", *QUICK, "--data=folder:~/my pics", "--data.held-out", "0.4", "--dry-run",
                  f"--eval.extractor={extractor}", "--out=~/other")  # fmt: skip
    assert result.code == 0, result.err
    assert f"{project}/other\n" in result.out


def test_the_home_of_nobody_is_refused(project):
    for words in (
        ("--data", "folder:~nobody-here/x"),
        ("--out", "~nobody-here/x"),
        ("--plugins", "~nobody-here/x"),
    ):
        result = call("run", *QUICK, *words)
        assert result.code == 2
        assert "there is no home of that name" in result.err


@pytest.mark.parametrize(
    "name", ["a b", "100%", "what?", "a#b", "new\nline", "b\udce4d", "x" * 300, "~", "$HOME"]
)
def test_odd_names_of_folders_are_read_or_refused_in_one_line(project, name):
    place = project / "odd" / name
    try:
        (project / "odd").mkdir()
        shutil.copytree(project / "my pics", place)
    except OSError:
        assert len(name) > 255
    config = located(RunConfig(data=DataConfig(name=f"folder:{place}", held_out=0.4)))
    if len(name) > 255:
        with pytest.raises(UserError) as refused:
            load(config.data)
        assert len(str(refused.value)) <= 200
    else:
        assert (
            load(config.data).fingerprint
            == load(DataConfig(name=f"folder:{project}/my pics", held_out=0.4)).fingerprint
        )


def test_presets_keep_their_settings():
    assert located(preset("smoke")).eval == preset("smoke").eval
