"""Reads the tracking store into tidy frames. Never a checkpoint, never torch.

Each function takes the name of an experiment (a study) and the URI of the store, by default
MLFLOW_TRACKING_URI or mlflow.db in the current folder. Each raises UserError where the store or the
experiment is not there, or has no runs.
"""

import contextlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any, Literal, get_type_hints

import pandas as pd

from analysis.reading import artifacts
from analysis.reading.store import find_runs, reading
from experiments.cli.main import one_line
from experiments.records.mlflow_names import Naming, metric_name, score_points
from experiments.records.score import KEY_COLUMNS, SCORE_COLUMNS, Score, ScoreKey, is_sealed, read_scores
from rope_dit.errors import UserError

TAGS = (
    *("run_uid", "outcome", "study", "arm", "variant", "seed", "fingerprint"),
    *("inputs_sha256", "shared_weights_sha256"),
    *("device", "git_commit", "torch", "command", "host", "folder", "message"),
)
Point = tuple[str, int, float, int]
"""key, step, value, milliseconds since 1970"""
COSTS = ("parameters", "parameters_variant", "flops_per_image")
_TYPES = {str: "str", int: "int64", float: "float64", int | None: "Int64", float | None: "float64"}
_CURVE_TYPES = {
    **dict.fromkeys(("run_id", "arm"), "str"),
    **{"seed": "int64", "key": "str", "step": "int64", "value": "float64"},
}
_SCORE_TYPES: dict[str, str] = {
    name: _TYPES[kind]
    for name, kind in (get_type_hints(ScoreKey) | get_type_hints(Score)).items()
    if name in SCORE_COLUMNS
}


def runs(experiment: str, uri: str | None = None) -> pd.DataFrame:
    """One row a run, sorted by arm, seed and start.

    Columns:
        run_id, run_uid, name: MLflow's id; the run folder's own; its name.
        status: RUNNING, FINISHED, FAILED or KILLED.
        outcome: running, finished, diverged, error, stopped (by a signal) or killed (without a word).
        study, arm, variant: name of the study; canonical spec of the arm; its short unique name.
        seed: training seed, int64.
        fingerprint: SHA-256 of all that changes the weights.
        inputs_sha256, shared_weights_sha256: runs are paired where both agree.
        device, git_commit, torch, command, host, folder: where from.
        message: what ended a run that failed, where the store has it.
        parameters, parameters_variant: weights in all, and of the positional embedding, int64.
        flops_per_image: of one evaluation of the network on one image, int64; a multiply-add counts 2.
        started, ended: UTC; `ended` is NaT for a run that goes on.
        params.*: every setting as text, such as `params.train.lr`; missing where a run does not know it.
    """
    with reading(uri) as client:
        rows = [_run_row(run) for run in find_runs(client, experiment)]
    frame = pd.DataFrame(rows)
    for name in ("started", "ended"):
        frame[name] = _utc(frame[name], "ms")
    return frame.sort_values(["arm", "seed", "started"], ignore_index=True)


def curves(experiment: str, uri: str | None = None, contains: str = "") -> pd.DataFrame:
    """One row a logged point, sorted by run, key and step.

    Args:
        experiment: name of the study.
        uri: the store.
        contains: only keys with this text, such as 'train/loss'. Each key of a run that goes on takes a
            request; one that has ended is read from its files.

    Columns:
        run_id, arm, seed: as in `runs`.
        key: `train/loss` (mean squared error of the velocity), `loss_by_t/0` .. `9` (the same by tenth of t),
            `train/lr`, `train/grad_norm`, `train/images_per_second`, `system/peak_memory_mib`, scores such as
            `fd_digits/heun-25-cfg1`, their `real_floor/fd_digits` and `untrained/fd_digits`, and
            `by_nfe/fd_digits/heun-cfg1`. Those of a sampler or guidance of a plug-in that is not here have no
            such names: they stand in `scores`.
        step: training step, int64; for `by_nfe/...` the network evaluations an image.
        value: float64.
        time: UTC.
    """
    with reading(uri) as client:
        found = find_runs(client, experiment)
        ended = [run for run in found if run.info.status != "RUNNING"]
        logs = dict(_by_id(artifacts.read(client, ended, "metrics.jsonl")))
        tables = dict(_by_id(artifacts.read(client, ended, "scores.csv")))
        rows = [
            (run.info.run_id, run.data.tags["arm"], int(run.data.tags["seed"]), *point)
            for run in found
            for point in _points(client, run, logs, tables, contains)
        ]
    frame = pd.DataFrame(rows, columns=[*_CURVE_TYPES, "time"]).astype(_CURVE_TYPES)
    frame["time"] = _utc(frame["time"], "ms")
    return frame.sort_values(["run_id", "key", "step"], ignore_index=True)


def scores(experiment: str, uri: str | None = None) -> pd.DataFrame:
    """One row a score of a run, from the scores.csv of each; empty where nothing was scored yet.

    Columns:
        run_id: as in `runs`.
        arm .. sampling_seed: the fields of `experiments.records.score.ScoreKey` with their types; nfe is
            network evaluations an image. Text that means nothing for a score is '-', as the grid of a solver
            without one; numbers are missing then, so whole ones that may be are Int64.
        value: float64; `better` says whether 'lower' or 'higher' is better.
        real_floor: what real pictures would score, float64; nan where it was not measured or has no meaning.
        floor_n: how many held-out pictures the floor is of, Int64; missing where that was not written down.
        untrained: what pictures of an untrained network score, float64; nan where it was not measured.
        held_out, held_out_floor: value and real floor against held-out pictures: what training pictures score
            against those, float64; missing where they were not measured.
        sampling_seconds: what making the n pictures took, float64.
        images_sha256, reference_sha256, extractor_sha256: scores compare where the last two agree.
        time: UTC.

    Its `attrs["unsealed"]` are ids of runs whose table has no SHA-256: nothing tells if it was changed.
    """
    run_ids: list[str] = []
    found: list[Score] = []
    missing: list[str] = []
    unsealed: list[str] = []
    with reading(uri) as client:
        for run, content in artifacts.read(client, find_runs(client, experiment), "scores.csv"):
            if content is None:
                missing += [run.info.run_id] if _was_scored(run) else []
                continue
            found += read_table(run, content)
            run_ids += [run.info.run_id] * (len(found) - len(run_ids))
            unsealed += [] if is_sealed(content.decode()) else [run.info.run_id]
    if missing:
        raise UserError(
            f"scores.csv of {len(missing)} runs is missing from the store's artifacts, which once had it; "
            "restore them, or send them again: experiments.study --sync.", missing
        )  # fmt: skip
    frame = score_frame(run_ids, found)
    frame.attrs["unsealed"] = unsealed
    return frame


def _was_scored(run: Any) -> bool:
    """Whether a run has come to scores, as far as the store says."""
    if run.info.status == "RUNNING":  # it may be about to send its table
        return False
    return run.info.status == "FINISHED" or any(key.startswith("real_floor/") for key in run.data.metrics)


def read_table(run: Any, content: bytes) -> list[Score]:
    """Scores of a run's scores.csv. Raises UserError, which names the row, where it is damaged."""
    seen: set[ScoreKey] = set()
    with _undamaged(run.info.run_id):
        found = read_scores(content.decode(), run.data.tags["run_uid"])
        for i, score in enumerate(found, 1):
            if score.key in seen:
                raise ValueError(f"row {i}: {score.key.metric} comes again")
            seen.add(score.key)
    return found


def files(run_ids: Sequence[str], name: str, uri: str | None = None) -> dict[str, bytes]:
    """Content of one file of each run that has it, by run id.

    Args:
        run_ids: as in `runs`.
        name: path among the run's artifacts, such as 'config.json'.
        uri: the store.
    """
    with reading(uri) as client:
        found = [client.get_run(run_id) for run_id in run_ids]
        return dict(_by_id(artifacts.read(client, found, name)))


def _by_id(files: Iterator[tuple[Any, bytes | None]]) -> Iterator[tuple[str, bytes]]:
    return ((run.info.run_id, content) for run, content in files if content is not None)


def _points(
    client: Any, run: Any, logs: dict[str, bytes], tables: dict[str, bytes], contains: str
) -> Iterator[Point]:
    """Points of a run, each (key, step) once: of its files where it has ended, else a request a key."""
    run_id = run.info.run_id
    if run_id in logs:
        seen = set()
        naming = _naming(run)
        scored = read_table(run, tables[run_id]) if run_id in tables else []
        with _undamaged(run_id):
            logged = list(_logged(logs[run_id], scored, naming))
        for key, step, value, milliseconds in logged:
            if contains in key and math.isfinite(value) and (key, step) not in seen:
                seen.add((key, step))
                yield key, step, value, milliseconds
    else:  # still at work, or killed before it could send its log
        for key in (key for key in run.data.metrics if contains in key):
            for m in client.get_metric_history(run_id, key):
                yield key, m.step, m.value, m.timestamp


def _naming(run: Any) -> Naming:
    """What a run's scores are named by. Raises UserError for an average of a plug-in that is not here."""
    try:
        return Naming.of_params(run.data.params)
    except UserError as error:
        raise UserError(
            f"run {run.info.run_id}: {error} Give --plugins with the folder that it was made with."
        ) from None


def _logged(log: bytes, scored: Sequence[Score], naming: Naming) -> Iterator[Point]:
    """Points of a run's log and of its scores, under the names that they have in MLflow."""
    for line in log.splitlines():
        row = json.loads(line)
        for key, value in row["values"].items():
            yield metric_name(key), row["step"], value, int(row["time"] * 1000)
    for score in scored:
        with contextlib.suppress(UserError):  # of a plug-in that is not here
            for key, step, value, seconds in list(score_points([score], naming)):
                yield metric_name(key), step, value, int(seconds * 1000)


def score_frame(run_ids: Sequence[str], found: Sequence[Score]) -> pd.DataFrame:
    """A row a score, a type a column; values to the last bit."""
    keys = [score.key for score in found]
    columns = {name: [getattr(key, name) for key in keys] for name in KEY_COLUMNS}
    columns |= {f.name: [getattr(score, f.name) for score in found] for f in fields(Score) if f.name != "key"}
    frame = pd.DataFrame({"run_id": pd.Series(list(run_ids), dtype="str")})
    for name, values in columns.items():
        frame[name] = pd.Series(values, dtype=_SCORE_TYPES[name])
    frame["time"] = _utc(frame["time"], "s")
    return frame


@contextlib.contextmanager
def _undamaged(run_id: str) -> Iterator[None]:
    """Say which run's files cannot be read, and how to mend it."""
    try:
        yield
    except (ValueError, KeyError, TypeError) as error:
        reason = one_line(f"{type(error).__name__}: {error}", 90)
        raise UserError(
            f"artifacts of run {run_id} are damaged ({reason}); send them again: experiments.study --sync."
        ) from None


def _utc(since_1970: "pd.Series[Any]", unit: Literal["s", "ms"]) -> "pd.Series[Any]":
    return pd.to_datetime(since_1970, unit=unit, utc=True).dt.as_unit("us")


def _run_row(run: Any) -> dict[str, Any]:
    tags = {name: run.data.tags.get(name, "") for name in TAGS}
    return {
        "run_id": run.info.run_id,
        "name": run.info.run_name,
        "status": run.info.status,
        **tags,
        "seed": int(tags["seed"]),
        **{name: int(run.data.tags.get(name, -1)) for name in COSTS},
        "started": run.info.start_time,
        "ended": run.info.end_time if run.info.status != "RUNNING" else None,
        **{f"params.{key}": value for key, value in run.data.params.items()},
    }
