"""Checkpoints that survive kills, full disks and bit rot, and never run code.

A checkpoint is one safetensors file named STEP-SHA256.safetensors: nothing in it is unpickled, and its own name tells
what its bytes must hash to. It is written to a temporary file, flushed to the disk, renamed, and the folder flushed.
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from rope_dit.errors import UserError

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
    """

    folder: Path
    identity: Mapping[str, str]
    keep: int = 2

    def save(self, step: int, tensors: Mapping[str, Tensor]) -> Path:
        """Write a checkpoint durably, then remove all but the newest `keep` verified ones."""
        self.folder.mkdir(parents=True, exist_ok=True)
        metadata = {"format": str(FORMAT), "step": str(step), "identity": json.dumps(dict(self.identity))}
        data = safetensors.torch.save(
            {k: v.detach().cpu().contiguous() for k, v in tensors.items()}, metadata
        )
        path = self.folder / f"{step:08d}-{hashlib.sha256(data).hexdigest()}.safetensors"
        write_durably(path, data)
        self._purge(path)
        return path

    def load(self) -> tuple[int, dict[str, Tensor]] | None:
        """Return step and tensors of the newest checkpoint that is whole, or None where there has never been one.

        Raises:
            UserError: all are damaged, or the newest whole one belongs to another run or format.
        """
        damaged: list[str] = []
        for step, path in self._files():
            try:
                tensors, metadata = _read(path)
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

    def _files(self) -> Iterator[tuple[int, Path]]:
        """Yield (step, path), newest first; whatever is no checkpoint by name is passed over."""
        names = self.folder.iterdir() if self.folder.is_dir() else []
        found = [
            (int(m[1]), path) for path in names if (m := _NAME.fullmatch(path.name)) and not path.is_symlink()
        ]
        yield from sorted(found, reverse=True)

    def _check_identity(self, path: Path, metadata: Mapping[str, str]) -> None:
        if metadata.get("format") != str(FORMAT):
            raise UserError(f"checkpoint {path.name} has format {metadata.get('format')}, expected {FORMAT}: "
                            "it is from another version of rope_dit.")  # fmt: skip
        theirs, ours = json.loads(metadata["identity"]), dict(self.identity)
        differing = [f"{key}: checkpoint {theirs.get(key, '-')}, now {ours.get(key, '-')}"
                     for key in sorted(theirs.keys() | ours.keys()) if theirs.get(key) != ours.get(key)]  # fmt: skip
        if differing:
            raise UserError(
                f"{self.folder} holds checkpoints of another run; choose another --out, or set back:",
                differing,
            )

    def _purge(self, newest: Path) -> None:
        kept = 1
        for _, path in self._files():
            if path == newest:
                continue
            if kept < self.keep and _is_whole(path):
                kept += 1
                continue
            try:
                path.unlink()
            except OSError as error:
                _log.warning("cannot remove the old checkpoint %s: %s", path, error)
        for left in self.folder.glob(".tmp-*"):  # of a process that died: the run's lock is ours
            left.unlink(missing_ok=True)


def write_durably(path: Path, data: bytes) -> None:
    """Write a file so that after a crash at any moment either the old or the new content is there, whole."""
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name[-40:]}")
    try:
        with open(
            temporary, "wb"
        ) as file:  # a Python file, so that a full disk is an OSError with its reason
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def same_layout(expected: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> None:
    """Raise UserError unless both have the same names, shapes and types."""
    wrong = [f"{k}: {_layout(got.get(k))}, expected {_layout(expected.get(k))}"
             for k in sorted(expected.keys() | got.keys()) if _layout(expected.get(k)) != _layout(got.get(k))]  # fmt: skip
    if wrong:
        raise UserError(f"the checkpoint does not fit this model: {len(wrong)} tensors differ.", wrong)


def _layout(tensor: Tensor | None) -> str:
    return (
        "missing" if tensor is None else f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
    )


def _is_whole(path: Path) -> bool:
    return hashlib.sha256(path.read_bytes()).hexdigest() == path.stem.partition("-")[2]


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors and metadata; ValueError where the bytes are not those that were written."""
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != path.stem.partition("-")[2]:
        raise ValueError(f"SHA-256 does not match its name, {len(data)} bytes")
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        tensors: dict[str, Tensor] = safetensors.torch.load(data)
    except (safetensors.SafetensorError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a safetensors file: {error}") from None
    return tensors, header.get("__metadata__", {})


@torch.no_grad()
def restore(tensors: Mapping[str, Tensor], into: Mapping[str, Tensor]) -> None:
    """Copy checkpointed tensors over live ones of the same layout."""
    same_layout(into, tensors)
    for key, tensor in into.items():
        tensor.copy_(tensors[key])
