"""Reads the tracking store into tidy frames. Never a checkpoint, never torch.

Each function takes the name of an experiment (a study) and the URI of the store, by default
MLFLOW_TRACKING_URI or mlflow.db in the current folder. Each raises UserError where the store or the
experiment is not there, or has no runs.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from typing import Any, Literal, get_type_hints

import pandas as pd

from experiments.config import SCORE_COLUMNS, ScoreKey
from experiments.store import connect, hidden, sqlite_file, tracking_uri
from rope_dit.errors import UserError, nearest

TAGS = (
    *("outcome", "study", "arm", "variant", "seed", "fingerprint", "inputs_sha256", "shared_weights_sha256"),
    *("device", "git_commit", "command", "host", "folder"),
)
_TYPES = {str: "str", int: "int64", float: "float64"}
_CURVE_TYPES = {
    **dict.fromkeys(("run_id", "arm"), "str"),
    **{"seed": "int64", "key": "str", "step": "int64", "value": "float64"},
}
_SCORE_TYPES: dict[str, str] = {
    **dict.fromkeys(SCORE_COLUMNS, "str"),
    **{name: _TYPES[kind] for name, kind in get_type_hints(ScoreKey).items()},
    **dict.fromkeys(("value", "real_floor", "time"), "float64"),
}


def runs(experiment: str, uri: str | None = None) -> pd.DataFrame:
    """One row a run, sorted by arm, seed and start.

    Columns:
        run_id, name: MLflow's id; the name of the run folder.
        status: RUNNING, FINISHED, FAILED or KILLED.
        outcome: running, finished, diverged, error, stopped (by a signal) or killed (without a word).
        study, arm, variant: name of the study; canonical spec of the arm; its short unique name.
        seed: training seed, int64.
        fingerprint: SHA-256 of all that changes the weights.
        inputs_sha256, shared_weights_sha256: runs are paired where both agree.
        device, git_commit, command, host, folder: where from.
        started, ended: UTC; `ended` is NaT for a run that goes on.
        params.*: every setting as text, such as `params.train.lr`; missing where a run does not know it.
    """
    with _reading(uri) as client:
        rows = [_run_row(run) for run in _find_runs(client, experiment)]
    frame = pd.DataFrame(rows)
    for name in ("started", "ended"):
        frame[name] = _utc(frame[name], "ms")
    return frame.sort_values(["arm", "seed", "started"], ignore_index=True)


def curves(experiment: str, uri: str | None = None, contains: str = "") -> pd.DataFrame:
    """One row a logged point, sorted by run, key and step.

    Args:
        experiment: name of the study.
        uri: the store.
        contains: only keys with this text, such as 'train/loss'. Each key of each run takes a request.

    Columns:
        run_id, arm, seed: as in `runs`.
        key: `train/loss` (mean squared error of the velocity), `loss_by_t/0` .. `9` (the same by tenth of t),
            `train/lr`, `train/grad_norm`, `train/images_per_second`, `system/peak_memory_mib`, scores such as
            `fd_digits/heun-25/cfg1`, their `real_floor/fd_digits`, and `by_nfe/fd_digits/heun/cfg1`.
        step: training step, int64; for `by_nfe/...` the network evaluations an image.
        value: float64.
        time: UTC.
    """
    with _reading(uri) as client:
        rows = [row for run in _find_runs(client, experiment) for row in _curve_rows(client, run, contains)]
    frame = pd.DataFrame(rows, columns=[*_CURVE_TYPES, "time"]).astype(_CURVE_TYPES)
    frame["time"] = _utc(frame["time"], "ms")
    return frame.sort_values(["run_id", "key", "step"], ignore_index=True)


def scores(experiment: str, uri: str | None = None) -> pd.DataFrame:
    """One row a score of a run, from the scores.csv of each; empty where nothing was scored yet.

    Columns:
        run_id: as in `runs`.
        arm .. sampling_seed: the fields of ScoreKey with their types; nfe is network evaluations an image.
        value: float64; `better` says whether 'lower' or 'higher' is better.
        real_floor: what real pictures would score at this n, float64.
        images_sha256, reference_sha256, extractor_sha256: scores compare where the last two agree.
        time: UTC.
    """
    frames = [pd.DataFrame(columns=["run_id", *SCORE_COLUMNS]).astype({"run_id": "str", **_SCORE_TYPES})]
    with _reading(uri) as client, tempfile.TemporaryDirectory() as folder:
        for run in _find_runs(client, experiment):
            run_id = run.info.run_id
            if any(file.path == "scores.csv" for file in client.list_artifacts(run_id)):
                frame = _read_scores(client.download_artifacts(run_id, "scores.csv", folder))
                frames.append(frame.assign(run_id=run_id))
    found = pd.concat(frames[1:] or frames, ignore_index=True)
    found["time"] = _utc(found["time"], "s")
    return found[["run_id", *SCORE_COLUMNS]]


def _curve_rows(client: Any, run: Any, contains: str) -> Iterator[tuple[Any, ...]]:
    run_id, arm, seed = run.info.run_id, run.data.tags["arm"], int(run.data.tags["seed"])
    for key in run.data.metrics:
        if contains in key:
            for m in client.get_metric_history(run_id, key):
                yield run_id, arm, seed, key, m.step, m.value, m.timestamp


def _read_scores(file: str) -> pd.DataFrame:
    """Read text as it stands ('' for the grid of a solver without one), and floats to the last bit."""
    return pd.read_csv(file, dtype="str", keep_default_na=False).astype(_SCORE_TYPES)


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
        "started": run.info.start_time,
        "ended": run.info.end_time if run.info.status != "RUNNING" else None,
        **{f"params.{key}": value for key, value in run.data.params.items()},
    }


@contextlib.contextmanager
def _reading(uri: str | None) -> Iterator[Any]:
    """Give a client; what goes wrong with the store becomes one line."""
    uri = uri or tracking_uri()
    file = sqlite_file(uri)
    if file is not None and not file.is_file():
        raise UserError(
            f"no MLflow store at {hidden(uri)}; give its URI, or make one: python -m experiments.run."
        )
    from mlflow.exceptions import MlflowException

    try:
        yield connect(uri)
    except (MlflowException, OSError) as error:
        reason = hidden(" ".join(str(error).split()))
        raise UserError(f"the MLflow store at {hidden(uri)} cannot be read: {reason[:100]}") from None


def _find_runs(client: Any, experiment: str) -> list[Any]:
    """All runs that our mirror made, in whatever state."""
    there = {e.name: e.experiment_id for e in client.search_experiments() if e.name != "Default"}
    if experiment not in there:
        names = ", ".join(sorted(there)[:8]) or "none"
        raise UserError(
            f"no experiment '{experiment}'; there are: {names}.{nearest(experiment, list(there))}"
        )
    found, token = [], None
    while token != "":
        page = client.search_runs([there[experiment]], page_token=token)
        found += [run for run in page if run.data.tags.keys() >= {"run_uid", "arm", "seed"}]
        token = page.token or ""
    if not found:
        raise UserError(
            f"experiment '{experiment}' has no runs yet: python -m experiments.run --study {experiment}"
        )
    return found
