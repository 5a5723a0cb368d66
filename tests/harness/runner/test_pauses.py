"""Runs that pause at an earlier step, arms with labels, where runs come from, and how long pictures took."""

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from commands import (  # noqa: F401
    QUICK,
    SMOKE,
    call,
    copy_fixture,
    finished_fixture,
    rows,
    snapshot,
    timeless,
    work_elsewhere,
)

from experiments.cli.arguments import parse
from experiments.cli.main import StopFlag
from experiments.config.presets import preset
from experiments.config.run import RunConfig
from experiments.records.mlflow_store import connect, tracking_uri
from experiments.records.run_folder import Ending, RunFolder
from experiments.run import command
from experiments.runner.resolve import resolve
from experiments.scoring.stored import write_tensors
from rope_dit.checkpoint import metadata_of
from rope_dit.errors import Stopped

TIMED = ("train/images_per_second", "system/peak_memory_mib")


def tags(folder: Path) -> dict[str, str]:
    """Tags of a run in the store."""
    client, uid = connect(tracking_uri()), RunFolder(folder).record.id
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    (run,) = client.search_runs(ids, f"tags.run_uid = '{uid}'")
    return run.data.tags


def metrics(folder: Path) -> list[tuple[int, dict[str, float]]]:
    """The training curves without what depends on the machine."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(row["step"], {k: v for k, v in row["values"].items() if k not in TIMED}) for row in lines]


def newest(folder: Path) -> str:
    """Name of the newest checkpoint, which holds the SHA-256 of what is in it."""
    return max(path.name for path in (folder / "checkpoints").iterdir())


# --until


@pytest.mark.parametrize("step", [pytest.param(7, marks=pytest.mark.slow), 10])
def test_a_pause_changes_nothing(finished, step):
    paused = call("run", *SMOKE, "--out", "run", "--until", step)
    assert (paused.code, paused.err) == (0, "")
    run = RunFolder(Path("run"))
    assert run.ending == Ending("FINISHED", "paused")
    assert tags(run.path)["outcome"] == "paused"
    assert newest(run.path).startswith(f"{step:08d}-")
    here = [row for row in timeless(run.path) if row["train_step"] == str(step)]
    at_the_pause = [row for row in here if row["n"] in ("100", "-")]  # those of the curve are of fewer
    assert {row["sampler"] for row in at_the_pause} == {row["sampler"] for row in rows(finished)}
    refused = call("evaluate", "run", "--samplers", "rk4:steps=1")
    assert f"run is trained to step {step} of 20" in refused.err

    assert call("run", *SMOKE, "--out", "run").code == 0
    assert run.ending == Ending("FINISHED", "finished")
    assert tags(run.path)["outcome"] == "finished"
    assert newest(run.path) == newest(finished)
    assert metrics(run.path) == metrics(finished)
    assert [row for row in timeless(run.path) if row not in at_the_pause] == timeless(finished)


@pytest.mark.parametrize("until", ["10", pytest.param("5", marks=pytest.mark.slow)])
def test_a_pause_that_was_reached_is_nothing_to_do(until):
    assert call("run", *SMOKE, "--out", "run", "--until", "10").code == 0
    before = snapshot(Path("run"))
    again = call("run", *SMOKE, "--out", "run", "--until", until)
    assert (again.code, "run is finished; nothing to do." in again.out) == (0, True)
    assert snapshot(Path("run")) == before


def test_a_finished_run_is_not_paused_afterwards(copy):
    before = snapshot(copy)
    assert call("run", *SMOKE, "--out", "run", "--until", "10").code == 0
    assert snapshot(copy) == before
    assert RunFolder(copy).ending == Ending("FINISHED", "finished")


# --arm


@pytest.mark.slow
def test_a_label_is_the_arm_of_scores_and_tags_and_of_nothing_else():
    labelled = call("run", *QUICK, "--arm", "wide_v1.2", "--out", "labelled")
    plain = call("run", *QUICK, "--out", "plain")
    assert (labelled.code, plain.code) == (0, 0)
    a, b = Path("labelled"), Path("plain")
    assert {row["arm"] for row in rows(a)} == {"wide_v1.2"}
    assert {row["arm"] for row in rows(b)} == {"rope2d:theta=100"}
    assert (tags(a)["arm"], tags(a)["variant"], tags(b)["arm"]) == ("wide_v1.2", "rope2d", "rope2d:theta=100")
    assert RunFolder(a).record.identity == RunFolder(b).record.identity
    assert newest(a) == newest(b)
    assert [row | {"arm": ""} for row in timeless(a)] == [row | {"arm": ""} for row in timeless(b)]
    assert call("evaluate", "labelled", "--samplers", "heun:steps=1").code == 0
    assert {row["arm"] for row in rows(a)} == {"wide_v1.2"}
    assert len({row["sampler"] for row in rows(a)}) == 2


# origin


def test_origin_says_what_made_the_run_and_tags_repeat_it(finished):
    record = RunFolder(finished).record
    origin = record.origin
    resolved = resolve(replace(record.settings, out=None))
    model = resolved.build_model()
    assert origin["variant"] == "rope2d"
    assert origin["fingerprint"] == resolved.fingerprint
    assert origin["device"].startswith("cpu with 1 thread")
    assert origin["torch"] == torch.__version__
    assert origin["command"].startswith("python -m experiments.run --preset smoke ")
    assert int(origin["parameters"]) == sum(p.numel() for p in model.parameters())
    assert origin["parameters_variant"] == "0"
    assert tags(finished).items() >= origin.items()


SETTINGS = (
    "--eval.samplers",
    "euler:steps=1",
    "--arm",
    "a",
    "--study",
    "lr",
    "--model.qk-norm",
    "--seed",
    "3",
)


@pytest.mark.parametrize(
    "args",
    [
        SETTINGS,
        pytest.param((), marks=pytest.mark.slow),
        pytest.param(("--model.no-conditional", "--variant", "learned+rope1d"), marks=pytest.mark.slow),
    ],
)
def test_the_command_of_a_run_gives_it_again_whoever_started_it(monkeypatch, args):
    """It is made from the settings: of a study's cell or a test the process was started by something else."""
    monkeypatch.setattr(sys, "argv", ["somebody", "else"])
    args = (*SMOKE, "--eval.n", "10", "--eval.every", "0", *args, "--out", "run", "--runs", "else where")
    assert call("run", *args).code == 0
    command = shlex.split(RunFolder(Path("run")).record.origin["command"])
    assert command[:3] == ["python", "-m", "experiments.run"]
    told, typed = (parse(RunConfig, preset("smoke"), words, "run", "") for words in (command[3:], [*args]))
    assert told == replace(typed, runs=typed.runs.absolute(), out=typed.out.absolute())
    before = snapshot(Path("run"))
    assert "nothing to do" in call("run", *command[3:]).out
    assert snapshot(Path("run")) == before


# sampling_seconds


def stops_after(chunks: int) -> StopFlag:
    """A flag that is on once so many chunks of samples are on the disk."""

    class Flag(StopFlag):
        def __call__(self) -> bool:
            return len(list(Path("run/samples").glob("*.safetensors"))) >= chunks

    return Flag()


def test_seconds_of_sampling_survive_a_stop(copy):
    wanted = (*SMOKE, "--out", "run", "--eval.samplers", "rk4:steps=1", "--eval.n", "100", "60")
    with pytest.raises(Stopped):
        command([*wanted], stops_after(2))
    (first, _) = sorted((copy / "samples").iterdir())
    chunk, about = safetensors.torch.load_file(first), json.loads(metadata_of(first.read_bytes())["rope_dit"])
    assert chunk["seconds"] > 0
    chunk["seconds"].fill_(1000.0)
    write_tensors(first, about, chunk)
    assert call("run", *wanted).code == 0
    made = {row["n"]: float(row["sampling_seconds"]) for row in rows(copy) if "rk4" in row["sampler"]}
    assert made["100"] > 1000
    assert made["60"] == pytest.approx(0.6 * made["100"], abs=0.002)


def test_all_scores_say_how_long_their_pictures_took(finished):
    seconds = [float(row["sampling_seconds"]) for row in rows(finished) if row["sampler"] != "-"]
    assert len(seconds) == 4 * 11
    assert all(value > 0 for value in seconds)
