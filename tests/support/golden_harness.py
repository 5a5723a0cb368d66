"""What the harness's items compute from fixed inputs, reduced to a few numbers: see golden.py."""

import json

import torch
from extractors import scenes_for
from golden_values import Values, noise, pictures, spread
from subjects import subject

from experiments.config.registries import METRICS, PICTURE_METRICS
from experiments.config.run import DataConfig
from experiments.datasets import load
from experiments.scoring.extractors.base import Features
from experiments.scoring.extractors.classifier_file import WEIGHTS
from experiments.scoring.extractors.load import load_extractor
from experiments.scoring.picture_metrics.base import Pictures
from experiments.scoring.probes import probe


def picture_metric(name: str) -> Values:
    """Of pictures of the data set that it is for, of those with other classes, and of noisy ones."""
    measure, data_set = PICTURE_METRICS.load(name)().measure, PICTURE_METRICS[name].claims.get("data_set")
    real, more = scenes_for(data_set, range(60)), scenes_for(data_set, range(60, 120))
    rough = (more.pixels.int() + torch.arange(more.pixels.shape[-1]) % 3 * 12).clamp(0, 255).to(torch.uint8)
    turned, noisy = (
        Pictures(*one, more.patch) for one in ((more.pixels, more.labels.roll(1)), (rough, more.labels))
    )
    return [value for one in (more, turned, noisy) for _, value in sorted(measure(one, real).items())]


def metric(name: str) -> Values:
    """Scores of 60 generated pictures against 70 real ones, in the order of their names."""

    def features(of: str, n: int, shift: float) -> Features:
        mixed = noise(f"{of} pool", n, 64) @ noise("mixing", 64, 64) / 8
        return Features((mixed + shift).float(), 2 * noise(f"{of} logits", n, 10).float())

    scores = METRICS.load(name)().measure(features("generated", 60, 0.2), features("real", 70, 0.0))
    return [value for _, value in sorted(scores.items())]


def probed(name: str) -> Values:
    """What it finds in a small network with random weights, in the order of its values' names."""
    return [value for _, value in sorted(probe(name, subject()).items())]


def extractor(name: str) -> Values:
    """SHA-256 of the weights, and features of four pictures."""
    made = load_extractor(name, "cpu")
    record = json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))
    height, width = made.size or (32, 32)
    features = made(pictures(4, made.channels[0], height, width))
    return [record["sha256"], *spread(features.pool, 12), *spread(features.logits)]


def dataset(name: str) -> Values:
    """The fingerprint."""
    return [load(DataConfig(name=name)).fingerprint]
