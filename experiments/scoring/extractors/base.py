"""What extractors make, and what they are: pictures to features, the same for every network."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rope_dit.errors import UserError, check
from rope_dit.files import read_file


@dataclass(frozen=True, eq=False)
class Features:
    """What every metric is computed from.

    Args:
        pool: float32 [N, D] on the CPU, the network's last pooled layer.
        logits: float32 [N, K] on the CPU, its class scores; one column of zeros of a network without
            classes, whose inception score is 1 and says nothing.
        held_out: of training pictures, those of the held-out ones; None where there are none, and of others.
    """

    pool: Tensor
    logits: Tensor
    held_out: "Features | None" = field(default=None, repr=False)
    _once: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.pool)

    def __getitem__(self, rows: Any) -> "Features":
        """Some of the rows, in the given order: a slice or an array of indices."""
        return Features(self.pool[rows], self.logits[rows])

    def tensors(self) -> dict[str, Tensor]:
        """The rows by name, for a file."""
        return {"pool": self.pool, "logits": self.logits}

    @classmethod
    def cat(cls, parts: Sequence["Features"]) -> "Features":
        """Rows of all parts, one part after the other."""
        return cls(torch.cat([p.pool for p in parts]), torch.cat([p.logits for p in parts]))

    @cached_property
    def statistics(self) -> dict[str, Any]:
        """Mean `mu` [D] and covariance `sigma` [D, D] of `pool`, summed in float64; computed once."""
        from torch_fidelity.metric_fid import fid_features_to_statistics

        return fid_features_to_statistics(self.pool.double())  # type: ignore[no-any-return]

    def once(self, name: str, make: Callable[[], Tensor]) -> Tensor:
        """What a metric needs of these features alone, made where it is not known yet.

        The name says what it is and whose, such as 'neighbours: radii to the 5 nearest'. What belongs to
        the training pictures is kept on the disk, by the metric's version or the plug-in's content.
        """
        if name not in self._once:
            self._once[name] = make().contiguous()
        return self._once[name]

    @property
    def known(self) -> dict[str, Tensor]:
        """All that `once` has made, by name; more can be added."""
        return self._once

    def check_finite(self) -> None:
        """Raise UserError if any row has a NaN or an infinity: one of them can hang a matrix square root."""
        bad = ~(self.pool.isfinite().all(1) & self.logits.isfinite().all(1))
        if bad.any():
            raise UserError(
                f"features: got NaN or infinity in {int(bad.sum())} of {len(self)} rows, expected numbers. "
                "No score was computed; check the extractor's weights."
            )


@dataclass(frozen=True, eq=False)
class Extractor:
    """A network in eval mode and fp32 that turns uint8 pictures into features.

    Args:
        name: `inception` only for the published weights; other scores must not be called FID.
        sha256: of the weights, in hex; a file's, or what `hash_of` gives.
        dim: width D of the features.
        channels: image channels that fit; grey pictures are repeated where only the network wants colour.
        size: (height, width) that fits, or None for any.
        network: maps uint8 [B, C, H, W] to ([B, D], [B, K]).
        device: where it runs.
        batch: pictures at a time, fixed, so that how a caller cuts his pictures up changes little.
    """

    name: str
    sha256: str
    dim: int
    channels: tuple[int, ...]
    size: tuple[int, int] | None
    network: nn.Module
    device: torch.device
    batch: int

    @classmethod
    def of(
        cls,
        name: str,
        network: nn.Module,
        device: torch.device,
        *,
        dim: int,
        channels: tuple[int, ...] = (1, 3),
        size: tuple[int, int] | None = None,
        batch: int = 64,
    ) -> "Extractor":
        """One of a network with its weights in it: in eval mode, fp32, frozen, known by its weights' SHA-256.

        Normalising and resizing belong into the network's `forward`, which is given uint8 pictures.
        """
        network = network.eval().requires_grad_(False).float()
        sha256 = hash_of(network.state_dict())
        return cls(name, sha256, dim, channels, size, network.to(device), device, batch)

    def check_fits(self, shape: Sequence[int]) -> None:
        """Raise UserError if pictures of this [C, H, W] are not what the network was made for."""
        channels, *size = shape
        if channels not in self.channels or (self.size and tuple(size) != self.size):
            wants, got = said(self.channels, self.size), said((channels,), size)
            raise UserError(
                f"extractor {self.name} wants pictures of {wants}; got {got}. "
                "Choose inception, or make one: python -m experiments.train_extractor."
            )

    @torch.inference_mode()
    def __call__(self, images_u8_BCHW: Tensor) -> Features:
        """Features of uint8 pictures on any device. Raises UserError where they do not fit."""
        assert images_u8_BCHW.dtype == torch.uint8, images_u8_BCHW.dtype
        self.check_fits(images_u8_BCHW.shape[1:])
        return Features.cat([self._chunk(chunk) for chunk in images_u8_BCHW.split(self.batch)])

    def _chunk(self, images: Tensor) -> Features:
        images = images.to(self.device).repeat(1, max(self.channels) // images.shape[1], 1, 1)
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with torch.autocast(self.device.type, enabled=False), exact:
            pool, logits = self.network(images)
        return Features(pool.float().cpu(), logits.float().cpu())


def said(channels: Sequence[int], size: Sequence[int] | None) -> str:
    """Numbers of channels and size of pictures, in words.

    >>> said((1, 3), None), said((1,), (8, 9))
    ('1 or 3 channels, any size', '1 channel, 8x9')
    """
    plural = "" if tuple(channels) == (1,) else "s"
    return (
        f"{' or '.join(map(str, channels))} channel{plural}, {'x'.join(map(str, size or ())) or 'any size'}"
    )


def hash_of(state: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) of a state_dict: names, types, shapes and bytes, in the names' order, on any device."""
    total = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        total.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        total.update(flat.view(torch.uint8).numpy().data)
    return total.hexdigest()


def refuse_argument(name: str, argument: str) -> None:
    """Raise UserError if anything follows the name of an extractor that takes no argument."""
    check(not argument, "eval.extractor", f"{name}:{argument}", f"'{name}', which takes nothing after ':'")


def in_short(error: Exception) -> str:
    """The beginning of an error's text, for a message."""
    return " ".join(str(error).split())[:60]


def read_weights(path: Path) -> bytes:
    """Content of a weights file. Raises UserError where there is none, or something else."""
    try:
        return read_file(path)
    except OSError as error:
        raise UserError(f"weights file {path.name}: {error.strerror}; expected a file with weights. "
                        "Say where it is: --eval.extractor (evaluate: --extractor).") from None  # fmt: skip
