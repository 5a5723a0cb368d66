"""Pictures to features: the FID paper's InceptionV3, or a small classifier of this project's own."""

import hashlib
import io
import json
import pickle
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from experiments.scoring.extractors.classifier import Classifier
from rope_dit.errors import UserError

WEIGHTS = Path(__file__).parent / "weights"
SHIPPED = ("cifar10", "digits")
PUBLISHED = "6726825d"  # first 8 hex digits of the SHA-256 of torch-fidelity's file, as in the file's name


@dataclass(frozen=True, eq=False)
class Features:
    """What every metric is computed from.

    Args:
        pool: float32 [N, D] on the CPU, the network's last pooled layer.
        logits: float32 [N, K] on the CPU, its class scores.
    """

    pool: Tensor
    logits: Tensor

    def __len__(self) -> int:
        return len(self.pool)

    def __getitem__(self, rows: Any) -> "Features":
        """Some of the rows, in the given order: a slice or an array of indices."""
        return Features(self.pool[rows], self.logits[rows])

    def tensors(self) -> dict[str, Tensor]:
        """The fields by name, for a file."""
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
        sha256: of the weights file, in hex.
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

    def check_fits(self, shape: Sequence[int]) -> None:
        """Raise UserError if pictures of this [C, H, W] are not what the network was made for."""
        channels, *size = shape
        if channels not in self.channels or (self.size and tuple(size) != self.size):
            fits = "x".join(map(str, (*self.channels, *(self.size or ()))))
            wants = fits if self.size else "1 or 3 channels, any size"
            raise UserError(
                f"extractor {self.name} wants pictures of {wants}; got {'x'.join(map(str, shape))}. "
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


def load_extractor(spec: str, device: torch.device | str, inception_weights: Path | None = None) -> Extractor:
    """Load what `spec` names: inception | digits | cifar10 | PATH.safetensors (from train_extractor).

    `inception_weights` is a local copy of torch-fidelity's file; without it the file is downloaded once.
    With any other Inception weights the extractor is called `inception_<first 8 digits of their SHA-256>`, so
    that no score made with them is called FID.

    Raises UserError for a file that is missing, damaged or of another kind.
    """
    if spec == "inception":
        return _inception(torch.device(device), inception_weights or _download())
    if inception_weights is not None:
        raise UserError(f"eval.inception-weights is for extractor inception; got {spec}. Remove one of them.")
    path = WEIGHTS / f"{spec}.safetensors" if spec in SHIPPED else Path(spec)
    if path.suffix != ".safetensors":
        raise UserError(
            f"eval.extractor got '{spec}', expected inception, digits, cifar10 or a .safetensors file."
        )
    reserved = spec not in SHIPPED and (path.stem in SHIPPED or path.stem.startswith("inception"))
    if reserved or not re.fullmatch(r"[A-Za-z0-9._-]{1,60}", path.stem):
        raise UserError(
            f"eval.extractor {path.name}: scores are named after this file; give it another name, "
            "of A-Z a-z 0-9 . _ - and not that of a built-in extractor."
        )
    return _classifier(torch.device(device), path)


def _classifier(device: torch.device, path: Path) -> Extractor:
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load

    data = _read(path)
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
            f"extractor {path.name} is damaged or no extractor ({_short(error)}). Get it anew, "
            "or make one: python -m experiments.train_extractor."
        ) from None
    network.eval().requires_grad_(False).to(device)
    dim, channels = network.head.in_features, (options["channels"],)
    return Extractor(path.stem, sha256, dim, channels, (height, width), network, device, batch=256)


def _inception(device: torch.device, path: Path) -> Extractor:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    data = _read(path)
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        # torch-fidelity unpickles what it is given without limits, so it gets bytes that were written here
        safe = io.BytesIO()
        torch.save(state, safe)
        safe.seek(0)
        network = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=safe
        )
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        TypeError,
        AttributeError,
        LookupError,
        ValueError,
    ) as error:
        raise UserError(
            f"eval.inception-weights: {path.name} does not hold torch-fidelity's InceptionV3 "
            f"({_short(error)}); expected {_url().rpartition('/')[2]}."
        ) from None
    name = "inception" if sha256.startswith(PUBLISHED) else f"inception_{sha256[:8]}"
    return Extractor(name, sha256, 2048, (1, 3), None, network.to(device), device, batch=64)


def _url() -> str:
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    return str(URL_INCEPTION_V3)


def _download() -> Path:
    """Fetch the published weights to where torch-fidelity itself looks for them, unless they are there."""
    path = Path(torch.hub.get_dir(), "checkpoints", _url().rpartition("/")[2])
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(_url(), str(path), hash_prefix=PUBLISHED)
        except (OSError, RuntimeError):  # no network, or cut short
            raise UserError(
                "the Inception weights could not be downloaded. Give --eval.inception-weights PATH "
                f"({path.name}) or choose --eval.extractor cifar10."
            ) from None
    return path


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:60]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"weights file {path.name}: {error.strerror}; expected a file there.") from None
