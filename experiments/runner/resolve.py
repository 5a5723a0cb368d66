"""From what the user asked for to what this machine does: device, precision, threads; all checks."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from experiments.cli.outputs import check_folder
from experiments.cli.plugins import plugin_errors
from experiments.config.canonical import canonical, keeping
from experiments.config.former import upgraded
from experiments.config.identity import (
    as_before,
    fingerprint,
    identity,
    read_identity,
    run_name,
)
from experiments.config.launch import usable_cores
from experiments.config.measures import most_images, probe_values
from experiments.config.presets import preset
from experiments.config.registries import PROBES
from experiments.config.run import EvalConfig, RunConfig
from experiments.datasets import Images, load
from experiments.records.run_folder import RunFolder
from experiments.runner.items import items
from experiments.scoring.extractors.base import Extractor
from experiments.scoring.extractors.load import load_extractor
from experiments.scoring.jobs import left_out
from rope_dit.config import TrainConfig
from rope_dit.densities.base import build_density
from rope_dit.errors import UserError, check
from rope_dit.model import DiT
from rope_dit.registry import AVERAGES, COUPLINGS, OBJECTIVES, OPTIMIZERS, SCHEDULES

BF16_MIN_DIM = (
    128  # on CPUs with bf16 instructions narrower models train faster in fp32 (python -m experiments.bench)
)


@dataclass(frozen=True)
class Resolved:
    """A checked run: nothing has been written yet.

    Attributes:
        asked: settings as asked for.
        config: the same, with all that was left open decided.
        device: where it computes.
        images: the data set.
        identity: all that changes its weights, see `experiments.config.identity`.
        folder: its run folder, which need not be there.
    """

    asked: RunConfig
    config: RunConfig
    device: torch.device
    images: Images
    identity: Mapping[str, str]
    folder: RunFolder

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the identity."""
        return fingerprint(self.identity)

    @cached_property
    def extractor(self) -> Extractor:
        """What turns pictures into features. Raises UserError where it cannot be had or does not fit."""
        config = self.config.eval
        extractor = load_extractor(config.extractor, self.device, config.inception_weights)
        extractor.check_fits(self.images.train.shape[1:])
        return extractor

    def build_model(self) -> DiT:
        """Make the network on the device, with the weights of the run's seed."""
        model = build_model(self.config, self.images)
        model.init_weights(self.config.seed)
        return model.to(self.device)


@plugin_errors()
def resolve(
    asked: RunConfig, ranks: int = 0, *, scored: bool = True, images: Images | None = None
) -> Resolved:
    """Check everything that can be checked before anything is written. Raises UserError.

    Args:
        asked: what the user asked for.
        ranks: processes that train it together; 0: as many as trained what lies in `asked.out`, or one.
        scored: whether scores are going to be made of its pictures, and so the run folder be written.
        images: its data set, if it is there already.
    """
    device = choose_device(asked.device)
    images = images or load(asked.data)
    if scored:
        _check_writable(asked.out or asked.runs)
    config, found, folder = place(asked, device, images, ranks)
    torch.set_num_threads(config.train.threads)
    with plugin_errors(*items(config)):
        check_buildable(config, images)
    if scored:
        check_scored(config, images)
        _check_writable(folder.path)
    folder.check_free_for(found)
    return Resolved(asked, config, device, images, found, folder)


def resolve_run(asked: RunConfig, ranks: int = 0) -> Resolved:
    """As `resolve`, for a run that is going to be scored: its extractor is loaded, for it may be missing."""
    resolved = resolve(asked, ranks)
    resolved.extractor  # noqa: B018
    return resolved


def place(
    asked: RunConfig, device: torch.device, images: Images, ranks: int
) -> tuple[RunConfig, dict[str, str], RunFolder]:
    """Settings, identity and folder of a run: of the one that is there already, or else of a new one.

    A run that is older than some settings is gone on with under their neutral values, and any run with the
    averages that it was begun with, and the same noise in its scores.
    """
    there = RunFolder(asked.out).record if asked.out else None
    count = ranks or int(there.identity.get("ranks", "1") if there else "1")

    def decided(config: RunConfig) -> tuple[RunConfig, dict[str, str]]:
        config = resolve_settings(config, device)
        return config, identity(config, images.fingerprint, device.type, count)

    new, old = decided(asked), decided(before(asked, there.config if there else {}))
    if asked.out:
        known = read_identity(there.identity) if there else {}
        config, found = old if old[1] == known else new
        return as_begun(config, found, RunFolder(asked.out)), found, RunFolder(asked.out)
    for config, found in (new, old):
        if folder := find_run(config, found):
            return as_begun(config, found, folder), found, folder
    return *new, RunFolder(asked.runs / run_name(new[0], fingerprint(new[1])))


def before(asked: RunConfig, written: Mapping[str, Any]) -> RunConfig:
    """What is asked for, but with settings and options that a record may not know at neutral values."""
    return canonical(as_before(asked, upgraded(written), preset(asked.preset)), stored=True)


def as_begun(config: RunConfig, found: Mapping[str, str], folder: RunFolder) -> RunConfig:
    """Settings with the averages, the noise and the classes of the run that is there already.

    One that is older than probes has none, unless they are asked for.

    Raises UserError where it lacks an average, or was begun with other noise or classes than are asked for.
    """
    there = folder.record
    if there is None or read_identity(there.identity) != found:
        return config
    fixed = there.settings.eval.fixed_noise
    own = f"nothing, for {folder.path} is scored with noise of its own seed, or another --out"
    check(fixed or not config.eval.fixed_noise, "eval.fixed-noise", True, own)
    classes = there.settings.eval.classes
    own = f"proportional, for {folder.path} is scored with such classes, or another --out"
    check(config.eval.classes in (classes, EvalConfig.classes), "eval.classes", config.eval.classes, own)
    older = "probes" not in there.config["eval"] and config.eval.probes == EvalConfig.probes
    probes = () if older else config.eval.probes
    config = replace(config, eval=replace(config.eval, fixed_noise=fixed, classes=classes, probes=probes))
    return keeping(config, there.settings.train.averages, folder.path)


def find_run(config: RunConfig, found: Mapping[str, str]) -> RunFolder | None:
    """The folder in `config.runs` of a run with this identity, whatever its time called it."""
    named = RunFolder(config.runs / run_name(config, fingerprint(found)))
    for folder in (named, *map(RunFolder, sorted(config.runs.glob(f"*-s{config.seed}-*")))):
        with contextlib.suppress(UserError):  # a damaged one is for whoever asks for it by name
            if folder.record and read_identity(folder.record.identity) == found:
                return folder
    return None


def check_buildable(config: RunConfig, images: Images) -> None:
    """Raise UserError where pictures, network or what specs name do not go together."""
    count, batch = len(images.train), config.train.batch
    check(batch <= count, "train.batch", batch, f"at most the {count} training pictures")
    with torch.device("meta"):
        model = build_model(config, images)
    check_specs(config, model)


def check_scored(config: RunConfig, images: Images) -> None:
    """Raise UserError where metrics need more pictures, generated or real, or a token grid is no other."""
    least, counts = most_images(), [("n", n) for n in config.eval.n]
    counts += [("every-n", config.eval.every_n)] if config.eval.every else []
    for name, count in counts:
        check(count >= least, f"eval.{name}", count, f"at least {least}, which the metrics need")
    halves = 2 * least
    for part, pictures in (("train", images.train), ("held-out", images.held_out)):
        got = f"{len(pictures)} {part} pictures"
        check(len(pictures) >= halves, "--data", got, f"at least {halves}, which the metrics need")
    trained = [side // config.model.patch for side in images.train.shape[2:]]
    own, forms = "x".join(map(str, trained)), " ".join(config.eval.extrapolations)
    for text in config.eval.token_grids:
        check(text != own, "eval.token-grids", text, f"other grids than the trained one, {own}")
        larger = any(int(side) > known for side, known in zip(text.split("x"), trained, strict=True))
        check(larger or forms == "none", "eval.extrapolations", forms,
              f"none, for the grid {text} has no side beyond those of the trained one, {own}")  # fmt: skip


def check_specs(config: RunConfig, model: DiT) -> None:
    """Make what specs name, for only an item's own file can judge its options. Raises UserError."""
    train = config.train
    for sampler in config.eval.sampler_specs:
        sampler.build()
    for guidance in config.eval.guidance_specs:
        guidance.build()
    for probe in config.eval.probes:
        probe_values(probe)
        PROBES.bind(probe)()
    left_out(config)
    build_density(train.density)
    OBJECTIVES.bind(train.objective)()
    COUPLINGS.bind(train.coupling)()
    SCHEDULES.bind(train.schedule)(0.0)
    for average in train.averages:
        AVERAGES.bind(average)(0)
    shapes = {name: p.shape for name, p in model.named_parameters()}
    weights = {name: nn.Parameter(torch.empty(shape)) for name, shape in shapes.items()}  # none is filled
    OPTIMIZERS.bind(train.optimizer)(weights, train)


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


def resolve_settings(config: RunConfig, device: torch.device) -> RunConfig:
    """Settings with device, precision, compile and threads decided, and specs with all their options."""
    train = resolve_train(config.train, config.model.dim, device)
    return canonical(replace(config, device=device.type, train=train))  # type: ignore[arg-type]


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
    check_folder(path, "--runs or --out", f"run folder {path}")
