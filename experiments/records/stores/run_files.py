"""The files of a run that its MLflow run holds too, and whether they agree. Imports no mlflow."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from experiments.records.stores.local_store import at_home, path_of
from experiments.records.stores.sqlite_uri import sqlite_file


def files_of(folder: Path, ended: bool = True) -> Iterator[tuple[Path, str]]:
    """Each file that is sent, with its name there; of a run at work not the log, which grows."""
    names = ["config.json", "seal.json", "scores.csv", *(["metrics.jsonl"] if ended else [])]
    more = [*sorted(folder.glob("pictures/*.png")), *sorted(folder.glob("probes/*/*.csv"))]
    for file in [*(folder / name for name in names), *more]:
        if file.is_file():
            yield file, file.relative_to(folder).as_posix()


def local_folder(uri: str, run: Any) -> Path | None:
    """Folder of an MLflow run's files on this machine, or None where a server keeps them.

    Args:
        uri: of the store; what a local one keeps lies beside it, wherever that was when it was written.
        run: an MLflow run.
    """
    place = run.info.artifact_uri
    if urlsplit(place).scheme not in ("file", ""):
        return None
    file = sqlite_file(uri)
    return path_of(at_home(place, file) if file else place)


def lacking(client: Any, run: Any, folder: Path) -> list[str]:
    """Names of a run's files that its MLflow run lacks or holds otherwise.

    On this machine every byte is compared; of a server's, the sizes. Raises what MLflow's client raises.
    """
    wanted = list(files_of(folder))
    here = local_folder(client.tracking_uri, run)
    if here is not None:
        return [name for file, name in wanted if not _same(file, here / name)]
    parents = {name.rpartition("/")[0] or None for _, name in wanted}
    sizes = {
        f.path: f.file_size for parent in parents for f in client.list_artifacts(run.info.run_id, parent)
    }
    return [name for file, name in wanted if sizes.get(name) != file.stat().st_size]


def _same(file: Path, copy: Path) -> bool:
    return copy.is_file() and copy.read_bytes() == file.read_bytes()
