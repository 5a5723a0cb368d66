"""MLflow's databases in the tests' own process: new ones are copies of the first one that MLflow made, and
nothing waits for the disk. So each costs a hundredth of a second in place of some seconds.
"""

import sqlite3
import sys
from typing import Any

_MADE: list[sqlite3.Connection] = []
"""in memory: the first one as it was once its tables were there"""


def copy_the_first() -> None:
    """From now on, if MLflow is imported. What is in a database already is left to MLflow."""
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
