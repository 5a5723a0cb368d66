"""The folder that `study --export` writes: a study without weights and pictures, as small files.

export.json             which study, and the SHA-256 of each file here
study.json              as in the study's folder
runs/ARM-sSEED/         config.json, seal.json and ending.json as in the run folder,
                        scores.csv.gz and metrics.jsonl.gz, which unpack to its own, byte for byte
"""

import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from experiments.config.run import LABEL
from experiments.config.text import from_json, read_json
from experiments.records.folders.own_files import refuse_links
from experiments.records.seal import sealed, unsealed
from rope_dit.durable import write_durably
from rope_dit.errors import UserError, check
from rope_dit.files import MOST_BYTES, read_file

FILE, STUDY = "export.json", "study.json"
RUN_FILES = ("config.json", "seal.json", "ending.json", "scores.csv", "metrics.jsonl")
PACKED = ("scores.csv", "metrics.jsonl")
"""those that grow with what was scored and logged, which are zipped"""
AGAIN = "export the study again"


@dataclass(frozen=True)
class Manifest:
    """What an export holds.

    Args:
        study: its name.
        created: when it was planned, in seconds since 1970.
        files: SHA-256 of each file's content, unpacked, by its path without `.gz`.
    """

    study: str
    created: float
    files: Mapping[str, str]

    def __post_init__(self) -> None:
        check(re.fullmatch(LABEL, self.study) is not None, "study", self.study, "the name of a study")
        names = "|".join(map(re.escape, RUN_FILES))
        for path in self.files:
            run = re.fullmatch(rf"runs/{LABEL}-s[0-9]+/({names})", path)
            check(path == STUDY or run is not None, "files", path, f"{STUDY} and files of runs")
        check(STUDY in self.files, "files", ", ".join(self.files) or "none", f"{STUDY} among them")


def read_manifest(folder: Path) -> Manifest | None:
    """What is exported in a folder, None where nothing is. Raises UserError where that cannot be told."""
    file = folder / FILE
    if not file.is_file():
        return None
    found, _ = unsealed(read_json(file, AGAIN), file, AGAIN)
    try:
        return from_json(Manifest, found)
    except UserError as error:
        raise UserError(f"{file}: {str(error).rstrip('.')}; {AGAIN}.") from None


def write_files(folder: Path, study: str, created: float, contents: Mapping[str, bytes]) -> int:
    """Write an export, its manifest last; returns the number of bytes.

    Args:
        folder: made where it is missing.
        study, created: of the study.
        contents: by path, as in `Manifest.files`.

    Raises:
        UserError: the folder holds something that is no export of this study.
        OSError: it cannot be written.
    """
    refuse_links(folder)
    before = read_manifest(folder)
    if before is None and folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"--export: {folder} holds files that are no export; choose an empty folder.")
    if before is not None and (before.study, before.created) != (study, created):
        raise UserError(f"--export: {folder} holds the export of another study, {before.study}, planned at "
                        "another time; choose another folder.")  # fmt: skip
    manifest = Manifest(study, created, {path: _digest(content) for path, content in contents.items()})
    packed = {_place(path): _packed(path, content) for path, content in contents.items()}
    packed[FILE] = json.dumps(sealed(asdict(manifest)), indent=1).encode()
    for path, content in packed.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        write_durably(folder / path, content)
    for gone in sorted((before.files.keys() if before else set()) - manifest.files.keys()):
        (folder / _place(gone)).unlink(missing_ok=True)
    return sum(map(len, packed.values()))


def read_files(folder: Path, manifest: Manifest) -> Iterator[tuple[str, bytes]]:
    """Every file of an export with its content. Raises UserError, which names the first that is not whole."""
    for path, sha256 in manifest.files.items():
        file = folder / _place(path)
        try:
            content = _unpacked(path, read_file(file))
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"{file} cannot be read ({error}); {AGAIN}.") from None
        if _digest(content) != sha256:
            raise UserError(f"{file} was changed after it was exported (its SHA-256 is another); {AGAIN}.")
        yield path, content


def _place(path: str) -> str:
    return f"{path}.gz" if path.endswith(PACKED) else path


def _packed(path: str, content: bytes) -> bytes:
    return gzip.compress(content, mtime=0) if path.endswith(PACKED) else content


def _unpacked(path: str, content: bytes) -> bytes:
    """Raises OSError, EOFError or zlib.error where it is no zipped file, or is too large."""
    if not path.endswith(PACKED):
        return content
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        found = file.read(MOST_BYTES + 1)
    if len(found) > MOST_BYTES:
        raise OSError(f"it unpacks to more than {MOST_BYTES} bytes")
    return found


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
