"""Files of runs out of the store's artifacts: straight from this machine's disk, or downloaded in threads."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from experiments.records.stores.run_files import local_folder

THREADS = 8  # downloads at a time; a server answers each in some ms, which would add up over hundreds of runs
T = TypeVar("T")


def read(client: Any, runs: Sequence[Any], name: str) -> Iterator[tuple[Any, bytes | None]]:
    """Yield each run with the content of one of its files, None where it has no such file; in their order.

    Raises what MLflow's client raises where the store fails.
    """
    return zip(runs, in_threads(lambda run: _content(client, run, name), runs), strict=True)


def names(client: Any, run: Any, folder: str) -> list[str]:
    """Paths of a run's files in one of its folders, sorted; empty where there is no such folder."""
    local = local_folder(client.tracking_uri, run)
    if local is not None:
        return sorted(f"{folder}/{path.name}" for path in (local / folder).glob("*") if path.is_file())
    return sorted(found.path for found in client.list_artifacts(run.info.run_id, folder))


def in_threads(function: Callable[[Any], T], items: Sequence[Any]) -> Iterator[T]:
    """Call a function with each item, several at a time; results come in the order of the items."""
    with ThreadPoolExecutor(THREADS) as pool:
        yield from pool.map(function, items)


def _content(client: Any, run: Any, name: str) -> bytes | None:
    local = local_folder(client.tracking_uri, run)
    if local is not None:
        file = local / name
        return file.read_bytes() if file.is_file() else None
    parent = name.rpartition("/")[0] or None
    if name not in {found.path for found in client.list_artifacts(run.info.run_id, parent)}:
        return None
    with tempfile.TemporaryDirectory() as folder:
        return Path(client.download_artifacts(run.info.run_id, name, folder)).read_bytes()
