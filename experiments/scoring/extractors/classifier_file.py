"""An extractor from a .safetensors file: a small classifier of this project's own, shipped or a user's."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load

from experiments.scoring.extractors.base import Extractor, in_short, read_weights
from experiments.scoring.extractors.classifier import Classifier
from rope_dit.errors import UserError

WEIGHTS = Path(__file__).parent / "weights"
SUFFIX = ".safetensors"


def shipped(name: str, device: torch.device) -> Extractor:
    """One of those that come with the project."""
    return classifier_from(WEIGHTS / f"{name}{SUFFIX}", device)


def classifier_from(path: Path, device: torch.device) -> Extractor:
    """The extractor that lies in a file. Raises UserError where it is missing, damaged or of another kind."""
    data = read_weights(path)
    sha256 = hashlib.sha256(data).hexdigest()
    record = path.with_suffix(".json")
    try:
        if record.exists() and json.loads(record.read_text(encoding="utf-8"))["sha256"] != sha256:
            raise ValueError(f"its SHA-256 is not the one in {record.name}")
        with safe_open(path, "pt") as file:
            meta = file.metadata() or {}
        if meta.get("kind") != Classifier.__name__:
            raise ValueError("no description in its metadata")
        options = {key: int(meta[key]) for key in ("channels", "classes", "width", "stride")}
        height, width = map(int, meta["image_size"].split("x"))
        network = Classifier(**options)
        network.load_state_dict({key: tensor.float() for key, tensor in load(data).items()})
    except (SafetensorError, KeyError, RuntimeError, ValueError) as error:
        raise UserError(
            f"extractor {path.name} is damaged or no extractor ({in_short(error)}). Get it anew, "
            "or make one: python -m experiments.train_extractor."
        ) from None
    network.eval().requires_grad_(False).to(device)
    dim, channels = network.head.in_features, (options["channels"],)
    return Extractor(path.stem, sha256, dim, channels, (height, width), network, device, batch=256)
