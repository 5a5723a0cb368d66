"""Tensors in a file that tells what they belong to and whether they are what was written: caches and chunks.

They can be made again at any time, so what is damaged, belongs to another, or was written by a version that
kept no SHA-256 is said in a line and made again, never believed.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from experiments.scoring.extractors.base import hash_of
from rope_dit.checkpoint import metadata_of
from rope_dit.durable import write_durably
from rope_dit.files import read_file

About = Mapping[str, str | int]
"""all that the content of a file depends on"""
_log = logging.getLogger(__name__)


def write_tensors(path: Path, about: About, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors with what they belong to. Raises OSError, which names the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sealed = {**about, "sha256": hash_of(tensors)}
    # one key: safetensors shuffles several
    write_durably(
        path, safetensors.torch.save(dict(tensors), {"rope_dit": json.dumps(sealed, sort_keys=True)})
    )


def read_tensors(path: Path, about: About) -> dict[str, Tensor] | None:
    """Tensors that were written to this file as belonging to this; None where there are none."""
    try:
        return _checked(read_file(path), about)
    except (FileNotFoundError, NotADirectoryError):  # the folder's place may be a file's
        return None
    except (OSError, ValueError, safetensors.SafetensorError, KeyError) as error:  # KeyError: an unknown type
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())[:80]
        _log.warning("%s is not used, but made again: %s", path, reason)
        return None


def _checked(data: bytes, about: About) -> dict[str, Tensor]:
    """Raise ValueError or SafetensorError where the content is not that of `about`."""
    tensors: dict[str, Tensor] = safetensors.torch.load(data)
    found = json.loads(metadata_of(data).get("rope_dit", "{}"))
    sha256 = found.pop("sha256", None) if isinstance(found, dict) else None
    if sha256 is None:
        raise ValueError("it has no SHA-256, as an earlier version wrote it")
    if sha256 != hash_of(tensors):
        raise ValueError("it is damaged, its SHA-256 is another")
    if wrong := sorted(key for key in {*found, *about} if found.get(key) != about.get(key)):
        key = wrong[0]
        raise ValueError(f"it belongs to another: {key} {found.get(key)}, expected {about.get(key)}")
    return tensors
