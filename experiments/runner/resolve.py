"""From what the user asked for to what this machine does: device, precision, threads; all checks."""

import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

from experiments.cli.imports import heavy_imports
from experiments.cli.plugins import plugin_errors
from experiments.config.launch import usable_cores
from experiments.config.registries import METRICS
from experiments.config.run import RunConfig, fingerprint, identity, run_name
from experiments.datasets.base import Images, load
from experiments.records.run_folder import RunFolder
from experiments.scoring.extractors.base import Extractor
from experiments.scoring.extractors.load import load_extractor
from rope_dit.config import TrainConfig, check
from rope_dit.errors import UserError
from rope_dit.model import DiT
from rope_dit.samplers.spec import SamplerSpec

BF16_MIN_DIM = (
    128  # on CPUs with bf16 instructions narrower models train faster in fp32 (python -m experiments.bench)
)


@dataclass(frozen=True)
class Resolved:
    """A checked run: nothing has been written yet."""

    config: RunConfig
    device: torch.device
    images: Images
    identity: dict[str, str]
    fingerprint: str
    folder: RunFolder

    @cached_property
    def extractor(self) -> Extractor:
        """What turns pictures into features. Raises UserError where it cannot be had or does not fit."""
        extractor = load_extractor(
            self.config.eval.extractor, self.device, self.config.eval.inception_weights
        )
        extractor.check_fits(self.images.train.shape[1:])
        return extractor

    def build_model(self) -> DiT:
        """Make the network on the device, with the weights of the run's seed."""
        model = build_model(self.config, self.images)
        model.init_weights(self.config.seed)
        return model.to(self.device)


@plugin_errors()
def resolve(config: RunConfig, ranks: int = 0) -> Resolved:
    """Check everything that can be checked before anything is written. Raises UserError.

    Args:
        config: what the user asked for.
        ranks: processes that train it together; 0: as many as trained what lies in `config.out`.
    """
    device = choose_device(config.device)
    train = resolve_train(config.train, config.model.dim, device)
    config = replace(config, device=device.type, train=train)  # type: ignore[arg-type]
    torch.set_num_threads(train.threads)
    images = load(config.data)
    check(
        train.batch <= len(images.train),
        "train.batch",
        train.batch,
        f"at most the {len(images.train)} training pictures",
    )
    halves = 2 * max(int(metric.claims.get("min_images", 1)) for metric in METRICS)
    for part, pictures in (("train", images.train), ("held-out", images.held_out)):
        got = f"{len(pictures)} {part} pictures"
        check(len(pictures) >= halves, "--data", got, f"at least {halves}, which the metrics need")
    for sampler in config.eval.samplers:  # only the solver's own file can judge its options
        SamplerSpec.parse(sampler).build()
    with torch.device("meta"), heavy_imports():  # torch gets its compiler to fill weights that are not there
        build_model(config, images)
    found = identity(config, images.fingerprint, device.type)
    together = str(ranks) if ranks else _ranks_of(config.out)
    if together != "1":  # they add gradients in another order; a single run keeps its fingerprint
        found["ranks"] = together
    print8 = fingerprint(found)
    folder = RunFolder(config.out or config.runs / run_name(config, print8[:8]))
    _check_writable(folder.path)
    folder.check_free_for(found)
    return Resolved(config, device, images, found, print8, folder)


def _ranks_of(path: Path | None) -> str:
    info = RunFolder(path).info if path else None
    return str(info["identity"].get("ranks", "1")) if info else "1"


def build_model(config: RunConfig, images: Images) -> DiT:
    """The network that fits config and pictures; its weights are not set yet."""
    return DiT(
        config.model,
        config.variant,
        channels=images.train.shape[1],
        image_size=images.train.shape[2:],
        num_classes=len(images.classes),
        null_class=config.train.label_dropout > 0,
    )


def choose_device(name: str) -> torch.device:
    """The device of that name; for auto the first of cuda, mps, cpu that is there. Raises UserError."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, ok in there.items() if ok))
    if not there[name]:
        has = ", ".join(kind for kind, ok in there.items() if ok)
        raise UserError(
            f"device got '{name}', which this machine or this torch does not have; expected auto or {has}."
        )
    return torch.device(name)


def device_text(device: torch.device) -> str:
    """Name of the device for people: the GPU's own, or the CPU and its threads."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"{device.type} with {torch.get_num_threads()} threads"


def resolve_train(train: TrainConfig, dim: int, device: torch.device) -> TrainConfig:
    """Replace every `auto` by what it means here; by fixed rules, so that a resumed run decides the same."""
    precision, compiling = train.precision, train.compile
    if precision == "auto":
        wide = dim >= BF16_MIN_DIM and device.type == "cpu" and _cpu_has_bf16()
        precision = "bf16" if device.type == "cuda" or wide else "fp32"
    if compiling == "auto":
        compiling = "on" if device.type == "cuda" else "off"
    threads = train.threads or usable_cores()
    return replace(train, precision=precision, compile=compiling, threads=threads)


def _cpu_has_bf16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _check_writable(path: Path) -> None:
    """The nearest existing ancestor must be a folder that we may write into."""
    try:
        above = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists() or p.is_symlink())
    except OSError as error:  # a name that is too long, say
        raise UserError(f"run folder {path}: {error.strerror}; choose another --runs or --out.") from None
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise UserError(
            f"run folder {path}: {above} is no folder that can be written; choose another --runs or --out."
        )
