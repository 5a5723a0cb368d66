"""Runs of an experiment out of the tracking store; what goes wrong with it becomes one line."""

import contextlib
import logging
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from experiments.cli.commands import python, typed
from experiments.records.mlflow_store import checked, chosen, connect, deleted, tracking_uri
from experiments.records.stores.sqlite_uri import sqlite_file
from experiments.records.stores.store_errors import hidden, reason
from rope_dit.errors import UserError, nearest

_MLFLOWS_OWN = "Default"  # an experiment of every store, seldom anybody's study
_log = logging.getLogger(__name__)


@contextlib.contextmanager
def reading(uri: str | None) -> Iterator[Any]:
    """Give a client; what goes wrong with the store becomes one line."""
    uri = checked(uri, "--uri") if uri else tracking_uri()
    file = sqlite_file(uri)
    if file is not None and not (file.is_file() and file.stat().st_size):
        raise UserError(
            f"no MLflow store at {hidden(uri)}; give its URI, or make one: python -m experiments.run."
        )
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield connect(uri, reading=True)
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        raise _unreadable(uri, reason(error, uri, 150)) from None


def _unreadable(uri: str, why: str) -> UserError:
    """What is the matter with a store, as far as its client's message says."""
    at = f"the MLflow store at {hidden(uri)}"
    if "locked" in why:
        return UserError(f"{at} is locked by another program; wait for its end, or stop it.")
    if "out-of-date database schema" in why or "Can't locate revision" in why:
        upgrade = typed("mlflow", "db", "upgrade", hidden(uri))
        details = [why, f"or make it this version's, after a backup: {upgrade}"]
        return UserError(f"{at} was made by another version of MLflow; use that one.", details)
    return UserError(f"{at} cannot be read: {why[:100]}")


def find_runs(client: Any, experiment: str) -> list[Any]:
    """All runs that our mirror made, in whatever state; of two of one run folder the one that counts."""
    there = {e.name: e.experiment_id for e in client.search_experiments()}
    others = sorted(there.keys() - {_MLFLOWS_OWN})
    if experiment not in there:
        raise _no_experiment(client, experiment, others)
    found: dict[str, list[Any]] = {}
    token = None
    while token != "":
        page = client.search_runs([there[experiment]], page_token=token)
        for run in page:
            if run.data.tags.keys() >= {"run_uid", "arm", "seed"}:
                found.setdefault(run.data.tags["run_uid"], []).append(run)
        token = page.token or ""
    if not found and experiment == _MLFLOWS_OWN:  # and no command would put any there
        raise UserError(f"experiment '{experiment}' is MLflow's own; runs have: {_listed(others)}.")
    if not found:
        make = python("experiments.run", "--study", experiment)
        raise UserError(f"experiment '{experiment}' has no runs yet: {make}")
    return [_one_of(runs) for runs in found.values()]


def _no_experiment(client: Any, experiment: str, names: list[str]) -> UserError:
    if gone := client.get_experiment_by_name(experiment):
        return UserError(*deleted(experiment, gone.experiment_id, client.tracking_uri))
    return UserError(
        f"no experiment '{experiment}'; there are: {_listed(names)}.{nearest(experiment, names)}"
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) or "none"


def _one_of(runs: list[Any]) -> Any:
    """One of the MLflow runs of a run folder: a restored one stands beside that which took its place."""
    run = chosen(runs)
    for other in runs:
        if other is not run:
            both = f"{run.info.run_id} and {other.info.run_id}"
            _say_once(f"MLflow runs {both} are of one run folder; the first counts, delete the other.")
    return run


@lru_cache(maxsize=1000)
def _say_once(text: str) -> None:
    _log.warning(text)
