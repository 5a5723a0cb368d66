"""From an extractor's name in the settings to the extractor."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import torch

from experiments.cli.plugins import plugin_errors
from experiments.config.registries import EXTRACTORS
from experiments.scoring.extractors.base import Extractor
from experiments.scoring.extractors.classifier_file import SUFFIX
from rope_dit.errors import UserError, check
from rope_dit.registry import Entry


def load_extractor(spec: str, device: torch.device | str, inception_weights: Path | None = None) -> Extractor:
    """Load what `spec` names, as `name` or `name:argument`; PATH.safetensors alone means file:PATH.

    `inception_weights` means inception:PATH, as older settings say it.

    The SHA-256 of what ships is that of its weights, and of its version where that is not the first. A
    plug-in's holds what its file says too: the same weights in other code give other features.

    Raises UserError for an unknown name, for weights that are missing, damaged or of another kind, and for a
    plug-in that fails or whose name no score may have.
    """
    name, colon, argument = spec.partition(":")
    if inception_weights is not None:
        expected = f"eval.inception-weights is for extractor inception; got {spec}. Remove one of them."
        if spec != "inception":
            raise UserError(expected)
        argument = str(inception_weights)
    elif Path(spec).suffix == SUFFIX and name not in EXTRACTORS.names():
        if not colon or Path(spec).exists():  # else a typing error in a name
            name, argument = "file", spec
    entry = EXTRACTORS[name]
    said = not colon or argument != ""
    check(said, "eval.extractor", spec, f"'{name}' or '{name}:' and something after it")
    with plugin_errors():
        made = EXTRACTORS.load(name)(argument, torch.device(device))
        _check_plugin(entry, made)
    return _identified(entry, made)


def _identified(entry: Entry, made: Extractor) -> Extractor:
    """The extractor with a SHA-256 that other code has not."""
    code = f"version {entry.version}" if entry.version > 1 else ""
    if mark := entry.tree_sha256 if entry.is_plugin else code:
        return replace(made, sha256=hashlib.sha256(f"{mark} {made.sha256}".encode()).hexdigest())
    return made


def _check_plugin(entry: Entry, made: object) -> None:
    """Raise UserError for a plug-in's extractor that is none, or by whose name scores must not be called."""
    if not entry.is_plugin:
        return
    where = f"extractor {entry.name} of {entry.path.name}"
    if not isinstance(made, Extractor):
        raise UserError(f"{where}: returned {type(made).__name__}, expected an Extractor (Extractor.of).")
    own = re.fullmatch(rf"{entry.name}(|[._-][A-Za-z0-9._-]{{1,40}})", made.name) is not None
    expected = f"'{entry.name}', or that with '_' and more behind, in A-Z a-z 0-9 . _ -"
    check(own, f"{where}: name", made.name, expected)
    reserved = made.name.startswith("inception")
    check(not reserved, f"{where}: name", made.name, "one that does not begin as FID's own network is called")
    known = re.fullmatch("[0-9a-f]{64}", made.sha256) is not None
    check(known, f"{where}: sha256", made.sha256, "64 hex digits, of its weights (Extractor.of, hash_of)")
