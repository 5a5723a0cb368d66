"""Training of a classifier whose features score pictures, and the file that it is kept in."""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.cli.progress import Progress
from experiments.config.extractor import ExtractorConfig
from experiments.datasets.base import Images
from experiments.datasets.batches import Batches
from experiments.scoring.extractors.classifier import Classifier
from experiments.scoring.extractors.classifier_file import SEAL, doubtful, seal
from rope_dit.checkpoint import Checkpoints, restore
from rope_dit.durable import write_durably
from rope_dit.errors import Diverged, Stopped, UserError
from rope_dit.randomness import Stream, integers

SAVE_SECONDS = 30.0
_log = logging.getLogger(__name__)


def check_learnable(images: Images) -> None:
    """Raise UserError where there is nothing to learn, or nothing to tell how well it was learnt."""
    count, name = len(images.classes), images.name
    mend = "or use --eval.extractor digits, cifar10 or inception."
    if count < 2:
        text = f"{name} has no classes; expected a folder a class, 2 or more to tell apart, {mend}"
        raise UserError(text)
    for part, labels in {"training": images.train_labels, "held-out": images.held_out_labels}.items():
        there = np.bincount(labels, minlength=count)
        if lacking := [images.classes[i] for i in np.flatnonzero(there == 0)]:
            text = f"{len(lacking)} of {count} classes of {name} have no {part} pictures; add some, {mend}"
            raise UserError(text, lacking)


def train(
    config: ExtractorConfig, images: Images, device: torch.device, stop: Callable[[], bool]
) -> Classifier:
    """Train on the train part, from checkpoints beside `config.out` where there are any. Raises Stopped."""
    model = _fresh(config, images).train().to(device).to(memory_format=torch.channels_last)
    decay = config.weight_decay
    optimizer = torch.optim.SGD(model.parameters(), momentum=0.9, nesterov=True, weight_decay=decay)
    momenta = {p: torch.zeros_like(p) for p in model.parameters()}
    optimizer.state.update({p: {"momentum_buffer": momentum} for p, momentum in momenta.items()})
    tensors = model.state_dict() | {f"momentum.{i}": m for i, m in enumerate(momenta.values())}
    checkpoints = Checkpoints(_checkpoints(config), config.options() | {"data": images.fingerprint})
    begin, found = checkpoints.load() or (0, tensors)
    restore(found, tensors)
    batches = Batches(*(torch.from_numpy(a).to(device) for a in (images.train, images.train_labels)),
                      batch=config.batch, seed=config.seed, flip=config.flip)  # fmt: skip
    steps = config.epochs * len(images.train) // config.batch
    bar, saved = Progress("training", steps, "step", begin), time.monotonic()
    for step in range(begin, steps):
        if stop() or time.monotonic() - saved > SAVE_SECONDS:
            checkpoints.save(step, tensors)
            saved = time.monotonic()
            if stop():
                raise Stopped
        pictures, labels = batches(step)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.bf16):
            logits = model.head(model.features(_shifted(pictures, config.seed, step, config.shift)))
        loss = F.cross_entropy(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = config.lr * _schedule((step + 1) / (steps + 1))
        optimizer.step()
        bar.update(step + 1, f"loss {loss.item():.3f}")
    bar.close()
    if not all(p.isfinite().all() for p in model.state_dict().values()):
        raise Diverged(
            f"diverged: weights are not finite after {steps} steps. Lower lr (now {config.lr:g}).", steps
        )
    return model.eval()


def _fresh(config: ExtractorConfig, images: Images) -> Classifier:
    model = Classifier(
        channels=images.train.shape[1], classes=len(images.classes), width=config.width, stride=config.stride
    )
    generator = torch.Generator().manual_seed(config.seed)
    for weight in model.parameters():
        if weight.ndim > 1:
            nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
    nn.init.zeros_(model.head.bias)
    return model


def _schedule(done: float) -> float:
    """Share of the highest learning rate: up in a line for a fifth of the steps, then down in a line."""
    return min(done / 0.2, (1 - done) / 0.8)


def _shifted(images_BCHW: Tensor, seed: int, step: int, most: int) -> Tensor:
    """Move each picture by -most..most pixels each way; what comes in repeats the edge."""
    batch, _, height, width = images_BCHW.shape
    at = torch.tensor([step], device=images_BCHW.device)
    down, right = (integers(seed, Stream.NOISE, at, 2 * batch) % (2 * most + 1)).view(2, batch, 1)
    rows = down + torch.arange(height, device=at.device)
    columns = right + torch.arange(width, device=at.device)
    padded = F.pad(images_BCHW, (most,) * 4, mode="replicate")
    picture = torch.arange(batch, device=at.device)[:, None, None]
    return padded[picture, :, rows[:, :, None], columns[:, None, :]].movedim(3, 1)


@torch.inference_mode()
def accuracy(model: Classifier, images_u8: np.ndarray, labels: np.ndarray) -> float:
    """Share of pictures whose class the classifier finds, in fp32."""
    device = next(model.parameters()).device
    chunks = torch.from_numpy(images_u8).split(500)
    found = torch.cat([model(chunk.to(device))[1].argmax(1).cpu() for chunk in chunks])
    return (found == torch.from_numpy(labels)).double().mean().item()


def write(config: ExtractorConfig, images: Images, model: Classifier) -> float:
    """Write weights (fp16, norms fp32) and the .json; return the held-out accuracy of what was written.

    Where that is no better than a guess, this is said.
    """
    state = {key: value.half() if value.ndim > 1 else value for key, value in model.state_dict().items()}
    model.load_state_dict(state)
    score = accuracy(model, images.held_out, images.held_out_labels)
    description = {
        "kind": Classifier.__name__,
        **{key: str(value) for key, value in model.options.items()},
        "image_size": "x".join(map(str, images.train.shape[2:])),
        "accuracy": f"{score:.4f}",
        "held_out": str(len(images.held_out)),
        "guess": f"{np.bincount(images.held_out_labels).max() / len(images.held_out):.4f}",
        "data": images.name,
        "data_fingerprint": images.fingerprint,
        "command": config.command(),
    }
    tensors = {key: value.cpu().contiguous() for key, value in state.items()}
    data = save(tensors, {**description, SEAL: seal(description, tensors)})
    config.out.parent.mkdir(parents=True, exist_ok=True)
    write_durably(config.out, data)
    record = {"sha256": hashlib.sha256(data).hexdigest(), **description}
    write_durably(config.out.with_suffix(".json"), (json.dumps(record, indent=1) + "\n").encode())
    shutil.rmtree(_checkpoints(config), ignore_errors=True)
    if doubt := doubtful(description):
        _log.warning("extractor %s: %s", config.out.name, doubt)
    return score


def _checkpoints(config: ExtractorConfig) -> Path:
    return config.out.with_suffix(".checkpoints")
