"""An extractor from a .safetensors file: a small classifier of this project's own, shipped or a user's."""

import hashlib
import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from experiments.config.text import digest
from experiments.scoring.extractors.base import Extractor, hash_of, in_short, read_weights
from experiments.scoring.extractors.classifier import Classifier
from rope_dit.checkpoint import metadata_of
from rope_dit.errors import UserError
from rope_dit.files import read_file

WEIGHTS = Path(__file__).parent / "weights"
SUFFIX = ".safetensors"
SEAL = "content_sha256"
"""field of the metadata with the SHA-256 of all else in the file; the file's own stands in the .json"""
_log = logging.getLogger(__name__)


def shipped(name: str, device: torch.device) -> Extractor:
    """One of those that come with the project."""
    return classifier_from(WEIGHTS / f"{name}{SUFFIX}", device)


def classifier_from(path: Path, device: torch.device) -> Extractor:
    """The extractor that lies in a file. Raises UserError where it is missing, damaged or of another kind."""
    data = read_weights(path)
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        tensors = load(data)
        meta = metadata_of(data)
        if meta.get("kind") != Classifier.__name__:
            raise ValueError("no description in its metadata")
        _check_unchanged(path, sha256, meta, tensors)
        options = {key: int(meta[key]) for key in ("channels", "classes", "width", "stride")}
        height, width = map(int, meta["image_size"].split("x"))
        network = Classifier(**options)
        network.load_state_dict({key: tensor.float() for key, tensor in tensors.items()})
    except (OSError, SafetensorError, KeyError, RuntimeError, ValueError) as error:
        raise UserError(
            f"extractor {path.name} is damaged or no extractor ({in_short(error)}). Get it anew, "
            "or make one: python -m experiments.train_extractor."
        ) from None
    if doubt := doubtful(meta):
        _log.warning("extractor %s: %s", path.name, doubt)
    network.eval().requires_grad_(False).to(device)
    dim, channels = network.head.in_features, (options["channels"],)
    return Extractor(path.stem, sha256, dim, channels, (height, width), network, device, batch=256)


def _check_unchanged(path: Path, sha256: str, meta: Mapping[str, str], tensors: Mapping[str, Tensor]) -> None:
    """Raise ValueError where a file is not as it was written, as far as it or the .json beside it knows."""
    record = path.with_suffix(".json")
    beside = record.exists() or record.is_symlink()
    said = json.loads(read_file(record)) if beside else {"sha256": sha256}
    if said["sha256"] != sha256:
        raise ValueError(f"its SHA-256 is not the one in {record.name}")
    if wrong := [key for key, text in meta.items() if said.get(key, text) != text]:
        raise ValueError(f"{record.name} gives it another {wrong[0]}")
    if SEAL in meta and meta[SEAL] != seal(meta, tensors):
        raise ValueError("its SHA-256 is not the one in its metadata")
    if not beside and SEAL not in meta:
        _log.warning("extractor %s has no SHA-256, as an earlier version wrote it: read unchecked", path.name)


def seal(meta: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of all that a file holds but this."""
    rest = {key: text for key, text in meta.items() if key != SEAL}
    return digest([rest, hash_of(tensors)])


def doubtful(meta: Mapping[str, str]) -> str:
    """What the accuracy in a description gives to think; empty where it is above that of a guess."""
    try:
        accuracy, held_out = float(meta["accuracy"]), int(meta["held_out"])
        guess = float(meta.get("guess", 1 / int(meta["classes"])))  # which earlier versions did not write
    except (KeyError, ValueError, ZeroDivisionError):
        return ""
    if accuracy > guess + 2 * math.sqrt(guess * (1 - guess) / max(1, held_out)):
        return ""
    return (
        f"it recognises {100 * accuracy:.2f} % of {held_out} held-out pictures, and a guess "
        f"{100 * guess:.2f} %: scores made with it say nothing. Are the labels right?"
    )
