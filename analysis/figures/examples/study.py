"""A small made-up study: what every figure is tried with, whoever wrote it. Formulas, nothing random."""

import io
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.image import imsave

from analysis import load
from analysis.figures.base import Material
from analysis.judging.judge import judge
from analysis.study import Study
from experiments.records.definition import ArmRecord, Definition, Endpoint
from experiments.records.score import Score, ScoreKey

ARMS = ("learned", "none", "rope2d")
_EULER, _HEUN = "euler:grid=uniform,steps={}", "heun:grid=uniform,steps={}"
_SAMPLERS = {_EULER.format(4): 4, _HEUN.format(2): 4, _EULER.format(8): 8, _HEUN.format(4): 8}  # with NFE
_STEPS, _N, _FEW = (200, 400, 800), 500, 100


def example(arms: Sequence[str] = ARMS, seeds: int = 3, better: str = "lower") -> Material:
    """A finished study: four samplers of two costs, two numbers of pictures, scores and losses over training.

    Args:
        arms: the first is the baseline.
        seeds: of each arm.
        better: direction of its endpoint, 'lower' as of a distance or 'higher' as of a share.
    """
    definition = _definition(arms, seeds, better)
    cells = pd.DataFrame(product(arms, range(seeds)), columns=["arm", "seed"])
    cells = cells.assign(state="done", message="", run_id=cells["arm"] + "-" + cells["seed"].map(str))
    scores = [score for cell in cells.to_dict("records") for score in _scores(definition, cell)]
    frame = load.score_frame([f"{score.key.arm}-{score.key.seed}" for score in scores], scores)
    runs = _runs(cells)
    study = Study(definition, runs, frame, cells, runs.head(0).assign(why=""))
    picture = io.BytesIO()
    imsave(picture, np.arange(256, dtype=np.uint8).reshape(16, 16), cmap="gray", format="png")
    pictures = dict.fromkeys(arms, picture.getvalue())
    return Material(study, _curves(cells), judge(study), pictures, 0)


def nothing() -> Material:
    """The same study before its first run."""
    whole = example()
    study = whole.study
    empty = Study(
        study.definition, study.runs.head(0), study.scores.head(0),
        study.cells.assign(state="missing", run_id=""), study.others,
    )  # fmt: skip
    return replace(whole, study=empty, curves=whole.curves.head(0), compared=(), pictures={})


def _definition(arms: Sequence[str], seeds: int, better: str) -> Definition:
    first, *others = arms
    end = Endpoint(
        metric="fd_digits" if better == "lower" else "recall_digits", extractor="digits",
        sampler=next(iter(_SAMPLERS)), guidance="cfg:weight=1", ema="0.999", n=_N, train_step=_STEPS[-1],
        better=better, learned=0.1 if better == "lower" else 0.5,
    )  # fmt: skip
    return Definition(
        name="example", kind="ablate", created=0.0, preset="digits", data="digits", endpoint=end,
        arms=tuple(ArmRecord(arm, arm, {}) for arm in arms), seeds=tuple(range(seeds)),
        samplers=tuple(_SAMPLERS), guidances=("cfg:begin=0,end=1,weight=1",), sampling_seeds=1,
        baseline=first, margin=0.05,
        comparisons=tuple((arm, first) for arm in others), planned_seeds=seeds,
    )  # fmt: skip


def _scores(definition: Definition, cell: Mapping[Hashable, Any]) -> Iterator[Score]:
    """What one run was scored: every sampler at its end, the first one with fewer pictures on the way too."""
    end, arm, seed = definition.endpoint, cell["arm"], cell["seed"]
    points = [(sampler, _N, _STEPS[-1]) for sampler in _SAMPLERS]
    points += [(end.sampler, _FEW, step) for step in _STEPS]
    place = [one.label for one in definition.arms].index(arm)
    for sampler, n, step in points:
        nfe = _SAMPLERS[sampler]
        cost = 20 - 2 * place + 0.3 * seed**2 + 0.2 * place * seed + 8 / nfe + 40 / n + 2000 / step
        here: dict[str, Any] = {"arm": arm, "seed": seed, "sampler": sampler, "n": n, "train_step": step}
        here |= {
            "nfe": float(nfe),
            "grid": "uniform",
            "n_real": 1437,
            "sampling_seed": end.sampling_seeds(seed).start,
        }
        yield Score(
            key=ScoreKey(**{**end.fields(), **here}),
            value=cost if end.better == "lower" else 1 - cost / 100, better=end.better,
            real_floor=15.0 if end.better == "lower" else 0.9,
            untrained=300.0 if end.better == "lower" else 0.1, images_sha256=f"{arm} {seed} {sampler}",
            reference_sha256="r", extractor_sha256="e", sampling_seconds=0.1, time=0.0,
        )  # fmt: skip


def _runs(cells: pd.DataFrame) -> pd.DataFrame:
    """Runs of these cells, paired, with the columns of `load.runs` but for the settings."""
    seeds = cells["seed"].map(str)
    same: dict[str, Any] = {
        "status": "FINISHED", "outcome": "finished", "study": "example", "device": "cpu", "torch": "2",
        "git_commit": "c" * 40, "command": "", "host": "here", "folder": "", "message": "",
        "parameters": 1000, "parameters_variant": 10, "flops_per_image": 2_000_000,
        "started": pd.Timestamp(0, tz="UTC"), "ended": pd.Timestamp(60, unit="s", tz="UTC"),
    }  # fmt: skip
    own = {"name": cells["run_id"], "variant": cells["arm"], "fingerprint": cells["run_id"]}
    own |= {"inputs_sha256": "i" + seeds, "shared_weights_sha256": "w" + seeds}
    return cells[["run_id", "arm", "seed"]].assign(**own, **same)


def _curves(cells: pd.DataFrame) -> pd.DataFrame:
    """Loss of each run over training, whole and by tenth of t, with the columns of `load.curves`."""
    tenths = {f"loss_by_t/{k}": 1 + (k - 4) ** 2 / 20 for k in range(10)}
    levels = {"train/loss": 1.5, "train/lr": 1e-3, "train/grad_norm": 0.5, **tenths}
    rows = [
        {"run_id": cell["run_id"], "arm": cell["arm"], "seed": cell["seed"], "key": key, "step": step,
         "value": level * (1 + 100 / step + len(cell["arm"]) / 50 + cell["seed"] / 100),
         "time": pd.Timestamp(step, unit="s", tz="UTC")}
        for cell, (key, level), step in product(cells.to_dict("records"), levels.items(), _STEPS)
    ]  # fmt: skip
    return pd.DataFrame(rows)
