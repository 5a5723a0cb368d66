"""What `experiments.bench` times: the training step bare and with everything around it, sampling, scoring."""

import contextlib
import io
import itertools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from experiments.benchmark.plain_dit import PlainDiT, train_step
from experiments.cli.main import StopFlag
from experiments.config.run import RunConfig
from experiments.datasets.base import Images
from experiments.datasets.batches import Batches
from experiments.records.mlflow_mirror import Mirror
from experiments.records.run_folder import RunFolder
from experiments.records.stores.sqlite_uri import sqlite_uri
from experiments.runner.dry_run import wait_for
from experiments.runner.execute import make_batches, train_and_score
from experiments.runner.record import Record
from experiments.runner.resolve import Resolved, choose_device, resolve_train
from experiments.scoring.extractors.load import load_extractor
from experiments.scoring.generate import Generator
from rope_dit.checkpoint import Checkpoints
from rope_dit.draws import Inputs
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.samplers.spec import SamplerSpec
from rope_dit.trainer import Training, train

NUM_CLASSES = 10


@dataclass(frozen=True)
class Workload:
    """One thing to time: `run` does `pictures` pictures of `flops` operations each (0: unknown)."""

    name: str
    run: Callable[[], object]
    pictures: int
    flops: float = 0.0


def picture_shape(config: RunConfig) -> tuple[int, int, int]:
    """(C, H, W) of the pictures that a preset is for."""
    return (1, 8, 8) if config.data.name == "digits" else (3, 32, 32)


def made_up(config: RunConfig, shape: tuple[int, int, int], folder: Path) -> Resolved:
    """A resolved run over made-up pictures [C, H, W], whose folder is temporary; nothing is downloaded."""
    device = choose_device(config.device)
    train = resolve_train(config.train, config.model.dim, device)
    torch.set_num_threads(train.threads)
    count = max(1000, train.batch)
    pixels = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (count, *shape), np.uint8)
    labels = np.arange(count) % NUM_CLASSES
    classes = tuple(map(str, range(NUM_CLASSES)))
    images = Images(train=pixels, train_labels=labels, held_out=pixels[:500], held_out_labels=labels[:500],
                    classes=classes, name="made up")  # fmt: skip
    evaluation = replace(config.eval, extractor="digits" if shape[0] == 1 else "cifar10")
    config = replace(config, train=train, eval=evaluation, device=device.type)  # type: ignore[arg-type]
    return Resolved(config, config, device, images, {}, RunFolder(folder / "run"))


class BareLoop:
    """Training steps and nothing else; a call does `steps` of them."""

    def __init__(self, resolved: Resolved, batches: Batches, steps: int = 1):
        config = replace(resolved.config.train, steps=10**9, schedule="constant")
        training = Training.fresh(resolved.build_model(), config)
        self._steps = train(training, batches, seed=0, until=config.steps)
        self.steps = steps

    def __call__(self) -> None:
        """Train a little more."""
        for _ in itertools.islice(self._steps, self.steps):
            pass


class _Unsaved(Checkpoints):
    """Saves nothing: a checkpoint comes by the clock and is timed apart."""

    def save(self, step: int, tensors: object) -> Path:
        return self.folder


class Harness:
    """Training as `experiments.run` does it: metric log, progress, MLflow mirror, but no checkpoint."""

    def __init__(self, resolved: Resolved, batches: Batches, steps: int):
        self.resolved, self.batches, self.steps = resolved, batches, steps
        self.training = Training.fresh(resolved.build_model(), resolved.config.train)
        folder = resolved.folder
        folder.path.mkdir()
        folder.create({}, resolved.config, {}, {})
        folder.open_metrics(0)
        os.environ["MLFLOW_TRACKING_URI"] = sqlite_uri(folder.path.parent / "mlflow.db")
        self.mirror = Mirror(folder, "bench")
        self.mirror.sync()  # a new store makes its tables: once for a store, not once for a run
        self.mirror.start()

    def __call__(self) -> None:
        """Train a little more."""
        until = self.training.step + self.steps
        config = replace(self.resolved.config.train, steps=until, schedule="constant", warmup_steps=0)
        resolved = replace(self.resolved, config=replace(self.resolved.config, train=config))
        self.training.config = config
        record, unsaved = Record(resolved.folder, resolved.config), _Unsaved(Path(), {})
        with contextlib.redirect_stdout(io.StringIO()):
            train_and_score(resolved, self.training, self.batches, unsaved, record, None, StopFlag())


def training(resolved: Resolved, steps: int, flops: float) -> tuple[list[Workload], Harness]:
    """The bare loop, the harness, a checkpoint, and the plain eager DiT in both precisions."""
    config, batches = resolved.config, make_batches(resolved)
    bare = BareLoop(resolved, batches)
    bare()
    if not steps:
        begun = time.perf_counter()
        bare()
        steps = max(2, min(200, round(1 / (time.perf_counter() - begun))))
    bare.steps, pictures = steps, steps * config.train.batch
    harness = Harness(resolved, batches, steps)
    checkpoints = Checkpoints(resolved.folder.path / "checkpoints", {})
    workloads = [
        Workload("training step", bare, pictures, flops),
        Workload("training in the harness", harness, pictures, flops),
        Workload("saving a checkpoint", lambda: checkpoints.save(0, harness.training.tensors()), 1),
    ]
    return [*workloads, *(plain(resolved, batches, steps, flops, name) for name in ("fp32", "bf16"))], harness


def plain(resolved: Resolved, batches: Batches, steps: int, flops: float, precision: str) -> Workload:
    """The plain eager DiT of the same size."""
    config, model = resolved.config.train, resolved.config.model
    _, channels, side, _ = resolved.images.train.shape
    network = PlainDiT(side, channels, NUM_CLASSES, model.patch, model.dim, model.depth, model.num_heads)
    step = train_step(network.to(resolved.device), bf16=precision == "bf16")
    images, labels, draw = Inputs(config, batches, 0)(0)

    def run() -> None:
        for _ in range(steps):
            step(images, draw.noise_BCHW, draw.t_B, labels)

    return Workload(f"plain eager DiT, {precision}", run, steps * config.batch, flops)


def sampling(resolved: Resolved, flops: float) -> Workload:
    """One chunk by ten Euler steps, counted in evaluations of the network."""
    images = resolved.images
    generator = Generator(
        resolved.build_model(), resolved.config, images.train_labels, images.train.shape[1:], lambda: False
    )
    sampler, unguided = SamplerSpec.parse("euler:steps=10"), GuidanceSpec.parse("cfg:weight=1")

    def run() -> None:
        generator.chunk_of(0, sampler, unguided, 0)

    return Workload("sampling, one evaluation", run, 10 * generator.chunk, flops)


def scoring(resolved: Resolved) -> Workload:
    """Features of 500 pictures."""
    extractor = load_extractor(resolved.config.eval.extractor, resolved.device)
    pictures = torch.from_numpy(resolved.images.held_out)
    return Workload("scoring, features", lambda: extractor(pictures), len(pictures))


def matmul_rates(resolved: Resolved) -> dict[str, float]:
    """FLOP/s of a block's matrix products alone, forward and both backward, by precision; best of six."""
    model, (_, _, height, width) = resolved.config.model, resolved.images.train.shape
    rows = resolved.config.train.batch * (height // model.patch) * (width // model.patch)
    hidden = round(model.dim * model.mlp_ratio)
    sides = [(model.dim, 3 * model.dim), (model.dim, model.dim), (model.dim, hidden), (hidden, model.dim)]
    rates = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        products = [
            tuple(
                torch.ones(shape, device=resolved.device, dtype=dtype)
                for shape in ((rows, k), (k, n), (rows, n))
            )
            for k, n in sides
        ]
        seconds = []
        for _ in range(6):
            wait_for(resolved.device)
            begun = time.perf_counter()
            for x, w, y in products:
                _ = x @ w, y @ w.T, x.T @ y
            wait_for(resolved.device)
            seconds.append(time.perf_counter() - begun)
        rates[name] = sum(3 * 2 * rows * k * n for k, n in sides) / min(seconds)
    return rates
