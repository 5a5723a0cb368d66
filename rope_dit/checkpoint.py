"""Checkpoints that survive kills, full disks and bit rot, and never run code.

A checkpoint is one safetensors file named STEP-SHA256.safetensors: nothing in it is unpickled, and its own
name tells what its bytes must hash to. It is written to a temporary file, flushed to the disk and renamed;
then the folder is flushed.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from rope_dit.durable import write_durably
from rope_dit.errors import UserError
from rope_dit.words import differing

FORMAT = 1
_NAME = re.compile(r"(\d{8,})-([0-9a-f]{64})\.safetensors")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they lie; made at the first save.
        identity: everything that must agree before a checkpoint is used, as text by field.
        keep: how many verified ones are kept.
        read: brings an identity that an earlier version wrote into today's form.
    """

    folder: Path
    identity: Mapping[str, str]
    keep: int = 2
    read: Callable[[Mapping[str, str]], Mapping[str, str]] = dict

    def save(self, step: int, tensors: Mapping[str, Tensor]) -> Path:
        """Write a checkpoint durably, then remove all but the newest `keep` verified ones."""
        self.folder.mkdir(parents=True, exist_ok=True)
        about = {"format": str(FORMAT), "step": str(step), "identity": dict(self.identity)}
        metadata = {"rope_dit": json.dumps(about, sort_keys=True)}  # one key: safetensors shuffles several
        data = safetensors.torch.save(
            {k: v.detach().cpu().contiguous() for k, v in tensors.items()}, metadata
        )
        path = self.folder / f"{step:08d}-{hashlib.sha256(data).hexdigest()}.safetensors"
        write_durably(path, data)
        self._purge(path)
        return path

    def load(self) -> tuple[int, dict[str, Tensor]] | None:
        """Return step and tensors of the newest whole checkpoint, or None where there has never been one.

        Raises:
            UserError: all are damaged, or the newest whole one belongs to another run or format.
        """
        damaged: list[str] = []
        for step, path in self._files():
            try:
                tensors, metadata = _read(path, step)
            except (OSError, ValueError) as error:
                damaged.append(f"{path.name}: {error}")
                _log.warning("checkpoint %s is damaged (%s); trying the one before", path, error)
                continue
            self._check_identity(path, metadata)
            return step, tensors
        if damaged:
            raise UserError(
                f"no checkpoint in {self.folder} is whole. Remove the folder to start from step 0.", damaged
            )
        return None

    def newest_step(self) -> int:
        """Step of the newest one by its name, whole or not; 0 where there is none."""
        return next((step for step, _ in self._files()), 0)

    def count(self) -> int:
        """How many there are, whole or not."""
        return sum(1 for _ in self._files())

    def _files(self) -> Iterator[tuple[int, Path]]:
        """Yield (step, path), newest first; whatever is no checkpoint by name is passed over."""
        names = self.folder.iterdir() if self.folder.is_dir() else []
        files = [
            (m, p) for p in names if (m := _NAME.fullmatch(p.name)) and p.is_file() and not p.is_symlink()
        ]
        yield from sorted(((int(m[1]), path) for m, path in files), reverse=True)

    def _check_identity(self, path: Path, metadata: Mapping[str, Any]) -> None:
        if metadata.get("format") != str(FORMAT):
            raise UserError(f"checkpoint {path.name[:16]}... has format {metadata.get('format')}, expected "
                            f"{FORMAT}: it is from another version of rope_dit.")  # fmt: skip
        lines = differing(self.read(metadata["identity"]), self.identity, ("checkpoint", "now"))
        if lines:
            text = f"{self.folder} holds checkpoints of another run; choose another --out, or set back:"
            raise UserError(text, lines)

    def _purge(self, newest: Path) -> None:
        kept = 1
        for _, path in self._files():
            if path == newest:
                continue
            if kept < self.keep and _is_whole(path):
                kept += 1
                continue
            _remove(path)
        for left in self.folder.glob(".tmp-*"):  # of a process that died: the run's lock is ours
            _remove(left)


def metadata_of(data: bytes) -> dict[str, str]:
    """What stands in a safetensors file, which `safetensors.torch.load` has read, beside its tensors."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return header.get("__metadata__") or {}


def same_layout(expected: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> None:
    """Raise UserError unless both have the same names, shapes and types."""
    pairs = {key: (_layout(got.get(key)), _layout(expected.get(key))) for key in sorted({*expected, *got})}
    wrong = [f"{key}: {there}, expected {here}" for key, (there, here) in pairs.items() if there != here]
    if wrong:
        raise UserError(f"the checkpoint does not fit this model: {len(wrong)} tensors differ.", wrong)


@torch.no_grad()
def restore(tensors: Mapping[str, Tensor], into: Mapping[str, Tensor]) -> None:
    """Copy checkpointed tensors over live ones of the same layout. Raises what `same_layout` does."""
    same_layout(into, tensors)
    for key, tensor in into.items():
        tensor.copy_(tensors[key])


def _layout(tensor: Tensor | None) -> str:
    if tensor is None:
        return "missing"
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        _log.warning("cannot remove %s: %s", path, error)


def _is_whole(path: Path) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == path.stem.partition("-")[2]
    except OSError:
        return False


def _read(path: Path, step: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return tensors and metadata; ValueError where the bytes are not those that were written for `step`."""
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != path.stem.partition("-")[2]:
        raise ValueError(f"SHA-256 does not match its name, {len(data)} bytes")
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(data)
    except (safetensors.SafetensorError, KeyError) as error:  # KeyError: a type that torch does not have
        raise ValueError(f"not a safetensors file: {error}") from None
    metadata: dict[str, Any] = json.loads(metadata_of(data).get("rope_dit", "{}"))
    if metadata.get("step", str(step)) != str(step):
        raise ValueError(f"renamed: it holds step {metadata['step']}")
    return tensors, metadata
