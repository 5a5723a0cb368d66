"""What saves tests time and changes nothing that they see: databases, distances, waiting for disks."""

import hashlib
import os
import sqlite3
import sys
from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor

_MADE: list[sqlite3.Connection] = []
"""in memory: the first one as it was once its tables were there"""


def copy_the_first() -> None:
    """Make new MLflow databases copies of the first one that MLflow made, which do not wait for the disk.

    So each costs a hundredth of a second, not seconds. What is in a database already is left to MLflow.
    """
    utils: Any = sys.modules.get("mlflow.store.db.utils")
    if utils is None or hasattr(utils, "_really_initialize_tables"):
        return
    utils._really_initialize_tables = utils._initialize_tables
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    event.listen(Pool, "connect", _do_not_wait)

    def initialize(engine: Any) -> None:
        from sqlalchemy import inspect

        if engine.dialect.name != "sqlite" or inspect(engine).get_table_names():
            utils._really_initialize_tables(engine)
            return
        if not _MADE:
            utils._really_initialize_tables(engine)
            _MADE.append(sqlite3.connect(":memory:", check_same_thread=False))
            _between(engine, lambda there: there.backup(_MADE[0]))
        else:
            _between(engine, lambda there: _MADE[0].backup(there))

    utils._initialize_tables = initialize


def _do_not_wait(connection: Any, record: object) -> None:
    """No test cuts the power; kills of processes lose nothing that was written."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")


def _between(engine: Any, copy: Any) -> None:
    held = engine.raw_connection()
    try:
        copy(held.driver_connection)
    finally:
        held.close()


_DISTANCES: dict[tuple[Any, ...], dict[str, float]] = {}
"""of features that were compared before: the held-out pictures of a data set, again in every run"""


def remember_distances(patch: pytest.MonkeyPatch) -> None:
    """Compute the two slow distances of torch-fidelity once: they depend on their arguments alone."""
    from torch_fidelity import metric_kid, metric_prc

    patch.setattr(metric_kid, "kid_features_to_metric", _remembered(metric_kid.kid_features_to_metric))
    patch.setattr(metric_prc, "prc_features_to_metric", _remembered(metric_prc.prc_features_to_metric))


def _remembered(measure: Callable[..., dict[str, float]]) -> Callable[..., dict[str, float]]:
    def found(first: Tensor, second: Tensor, **options: Any) -> dict[str, float]:
        key = (measure.__name__, *map(_content, (first, second)), *sorted(options.items()))
        if key not in _DISTANCES:
            _DISTANCES[key] = measure(first, second, **options)
        return dict(_DISTANCES[key])

    return found


def _content(features: Tensor) -> tuple[Any, ...]:
    return features.shape, features.dtype, hashlib.sha256(features.contiguous().numpy()).digest()


def write_without_waiting(patch: pytest.MonkeyPatch) -> None:
    """Leave it to the system when files reach the disk: no test cuts the power."""
    patch.setattr(os, "fsync", lambda _: None)
