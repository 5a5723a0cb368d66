"""Tracking stores that reports are made of: a small real study, and made-up ones of any size."""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import SMOKE, call
from PIL import Image

from analysis.study import Study, load_study
from experiments.records.definition import (
    ArmRecord,
    Definition,
    Endpoint,
    read_definition,
    write_definition,
)
from experiments.records.mlflow_store import artifact_location, connect
from experiments.records.score import Score, ScoreKey, write_scores
from experiments.records.sealing.chain import write_chain

NAME, MADE_UP = "tiny", "made-up"
ARMS = {"learned": "learned", "rope2d": "rope2d", "twin": "rope2d"}
EULER, HEUN, ONE = "euler:grid=uniform,steps=2", "heun:grid=uniform,steps=1", "euler:grid=uniform,steps=1"
UNTRAINED: float | None = 400.0
FLOOR: float | None = 1.4
"""what an untrained network scores in made-up studies: far enough for scores around 20 to be learned"""
REAL = (
    *(*SMOKE, "--study", NAME, "--eval.samplers", EULER, HEUN, ONE, "--eval.n", "100", "50"),
    *("--eval.classes", "data"),
    *("--eval.every", "10", "--eval.every-n", "50", "--eval.sampling-seeds", "2"),
)
_made: dict[str, Path] = {}


def definition(arms: dict[str, str], seeds: Sequence[int], **more: Any) -> Definition:
    """A study of smoke runs; the first arm is the baseline."""
    first, *others = arms
    made = Definition(
        name=NAME, kind="ablate", created=1.8e9, preset="smoke", data="digits",
        endpoint=Endpoint(
            metric="fd_digits", extractor="digits", sampler=EULER, guidance="1", ema="0.9", n=100,
            train_step=20, better="lower", learned=0.1,
        ),
        arms=tuple(ArmRecord(label, spec, {}) for label, spec in arms.items()), seeds=tuple(seeds),
        samplers=(EULER, HEUN, ONE), guidances=("1",), sampling_seeds=2, baseline=first, margin=0.02,
        comparisons=tuple((arm, first) for arm in others), planned_seeds=len(seeds),
    )  # fmt: skip
    return replace(made, **more)


def real_folder(factory: pytest.TempPathFactory) -> Path:
    """Folder with mlflow.db and run folders of a study of three arms, two of them alike, and two seeds."""
    if "real" not in _made:
        folder = factory.mktemp("tiny")
        with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
            patch.setenv("MLFLOW_TRACKING_URI", uri_of(folder))
            for arm, spec in ARMS.items():
                for seed in range(2):
                    place = ("--arm", arm, "--seed", seed, "--out", folder / "runs" / f"{arm}-s{seed}")
                    made = call("run", *REAL, "--variant", spec, *place)
                    assert made.code == 0, made.err
            define(folder, definition(ARMS, range(2)))
        _made["real"] = folder
    return _made["real"]


def tiny_folder(factory: pytest.TempPathFactory) -> Path:
    """Folder with a store of the same study, made up: it takes a second."""
    if "tiny" not in _made:
        wanted = definition(ARMS, range(2))
        value = lambda arm, seed: 20.0 + seed - (arm != "learned") * (1 + 0.1 * seed)  # noqa: E731
        _made["tiny"] = made_up(factory.mktemp("tiny"), wanted, value, alike=("rope2d", "twin"), name=NAME)
    return _made["tiny"]


def copy_of(folder: Path, to: Path) -> Path:
    """A copy of the store to change; artifacts are those of the first."""
    shutil.copy(folder / "mlflow.db", to / "mlflow.db")
    return to


def whole_copy(folder: Path, to: Path) -> Path:
    """A copy of the store and its artifacts, both to change."""
    shutil.copytree(folder / "mlartifacts", to / "mlartifacts")
    return copy_of(folder, to)


def uri_of(folder: Path) -> str:
    """The store in a folder."""
    return f"sqlite:///{folder}/mlflow.db"


def define(folder: Path, wanted: Definition) -> None:
    """Write a study's definition, made at need with its experiment."""
    client = connect(uri_of(folder))
    found = client.get_experiment_by_name(wanted.name)
    place = artifact_location(uri_of(folder), wanted.name)
    number = found.experiment_id if found else client.create_experiment(wanted.name, artifact_location=place)
    write_definition(client, number, wanted)


def redefine(folder: Path, name: str = NAME, **changes: Any) -> None:
    """Change parts of a study's definition."""
    found = read_definition(connect(uri_of(folder)), name)
    assert found is not None
    define(folder, replace(found, **changes))


def study_in(folder: Path, name: str = NAME) -> Study:
    """The study in a folder's store."""
    return load_study(name, uri_of(folder))


def run_id(folder: Path, arm: str, seed: int, name: str = NAME) -> str:
    """Id of a cell's run."""
    client = connect(uri_of(folder))
    number = client.get_experiment_by_name(name).experiment_id
    [run] = client.search_runs([number], f"tags.arm = '{arm}' and tags.seed = '{seed}'")
    return str(run.info.run_id)


def end_as(folder: Path, arm: str, seed: int, status: str, outcome: str, name: str = NAME) -> None:
    """Let a run of the store have ended otherwise."""
    client, number = connect(uri_of(folder)), run_id(folder, arm, seed, name)
    client.set_tag(number, "outcome", outcome)
    client.update_run(number, status)


def made_up(
    folder: Path,
    wanted: Definition,
    value: Callable[[str, int], float],
    logged: int = 4,
    alike: Sequence[str] = (),
    device: Callable[[int], str] = lambda i: "cpu",
    name: str = MADE_UP,
) -> Path:
    """Add a study to a store: one finished run a cell, whose scores come from `value(arm, seed)`.

    Args:
        folder: of the store.
        wanted: the study, but for its name.
        value: the endpoint; under other samplers, seeds and n the score differs a little.
        logged: lines of each run's log.
        alike: arms whose pictures are the same.
        device: of the i-th run.
        name: of the study.
    """
    wanted = replace(wanted, name=name)
    define(folder, wanted)
    client = connect(uri_of(folder))
    number = client.get_experiment_by_name(name).experiment_id
    cells = [(arm.label, seed) for arm in wanted.arms for seed in wanted.seeds]
    for i, (arm, seed) in enumerate(cells):
        tags = {"run_uid": f"u{i}", "study": wanted.name, "arm": arm, "variant": arm, "seed": str(seed),
                "outcome": "finished", "inputs_sha256": f"i{seed}", "shared_weights_sha256": f"w{seed}",
                "fingerprint": f"{i:064x}", "device": device(i), "torch": "2", "git_commit": "c" * 40,
                "host": "here", "parameters": "1000", "parameters_variant": "10",
                "flops_per_image": "2000000"}  # fmt: skip
        run = client.create_run(number, start_time=int(1.8e12) + i, tags=tags)
        params = {"eval.n": "100 50", "eval.every_n": "50", "train.steps": "20"}
        for key, text in (params | {"train.averages": "warmup:decay=0.9"}).items():
            client.log_param(run.info.run_id, key, text)
        with tempfile.TemporaryDirectory() as files:
            _write_files(Path(files), f"u{i}", wanted, arm, seed, value(arm, seed), logged, alike)
            client.log_artifacts(run.info.run_id, files)
        client.set_terminated(run.info.run_id, "FINISHED", int(1.8e12) + 60_000)
    return folder


def _write_files(
    folder: Path,
    uid: str,
    wanted: Definition,
    arm: str,
    seed: int,
    value: float,
    logged: int,
    alike: Sequence[str],
) -> None:
    steps = np.linspace(20 / logged, 20, logged).astype(int)
    values = {"train/images_per_second": 100.0, "system/peak_memory_mib": 50.0}
    values |= {f"loss_by_t/{b}": 1.0 + b / 10 for b in range(10)}
    lines = [json.dumps({"step": int(step), "time": 1.8e9, "values": values}) for step in steps]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    if wanted.chain:
        write_chain(folder, wanted.chain)
    (folder / "scores.csv").write_text(write_scores(_scores(wanted, arm, seed, value, arm in alike), uid))
    first = wanted.endpoint.sampling_seeds(seed).start
    grid = folder / "pictures" / f"00000020-euler-2-cfg1-seed{first}.png"
    grid.parent.mkdir()
    Image.fromarray(np.full((20, 20), 90, np.uint8)).save(grid)


def _scores(wanted: Definition, arm: str, seed: int, value: float, alike: bool) -> Iterator[Score]:
    """Scores of a run: of the endpoint's metric under every sampler, and of others."""
    end, picture = wanted.endpoint, "same" if alike else arm
    for sampler, draw, n, step in _points(wanted):
        here = {"arm": arm, "seed": seed, "train_step": step, "sampler": sampler, "n": n}
        here |= {"nfe": 1.0 + (sampler != ONE), "grid": "uniform", "n_real": 1437}
        here |= {"sampling_seed": wanted.endpoint.sampling_seeds(seed).start + draw}
        key = ScoreKey(**{**end.fields(), **here})
        score = Score(
            key=key, value=value + 0.1 * draw + 20 / n + (sampler != end.sampler) * 0.3 + 5 / step,
            better=end.better, real_floor=FLOOR, untrained=UNTRAINED, held_out=value + 2, held_out_floor=1.9,
            images_sha256=f"{picture} {seed} {sampler} {n} {draw} {step}", reference_sha256="r" * 64,
            extractor_sha256="e" * 64, sampling_seconds=0.5, time=1.8e9 + 30,
        )  # fmt: skip
        yield score
        other = {"precision": ("higher", 0.5), "recall": ("higher", 0.4), "kid": ("lower", 0.1)}
        for name, (better, number) in other.items():
            yield replace(score, key=replace(key, metric=f"{name}_digits"), better=better, value=number,
                          held_out=None, held_out_floor=None)  # fmt: skip


def _points(wanted: Definition) -> list[tuple[str, int, int, int]]:
    """Sampler, sampling seed, n and step of each score."""
    end = wanted.endpoint
    last = [
        (sampler, draw, n, end.train_step)
        for sampler in wanted.samplers
        for draw in range(wanted.sampling_seeds)
        for n in (end.n, 50)
    ]
    return [*last, (end.sampler, 0, 50, 10)]
