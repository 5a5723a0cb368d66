"""The far end of the scale: pictures of a network that has learned nothing, and what they score."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from commands import finished_fixture, rows  # noqa: F401

from experiments.config.presets import PRESETS
from experiments.config.run import DataConfig
from experiments.datasets import load
from experiments.scoring.extractors.load import load_extractor
from experiments.scoring.generate import Generator
from experiments.scoring.reference import Reference
from experiments.scoring.untrained import untrained_pictures
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.model import DiT
from rope_dit.samplers.spec import SamplerSpec

SHAPE = (2, 4, 6)


@pytest.mark.parametrize("sampler", ["euler:steps=3", "heun:steps=2", "dopri5"])
def test_they_are_those_of_a_network_before_its_first_step(sampler):
    config = PRESETS["smoke"]
    config = replace(
        config,
        train=replace(config.train, compile="off", precision="fp32"),
        eval=replace(config.eval, chunk=6),
    )
    model = DiT(config.model, "rope2d", channels=2, image_size=SHAPE[1:], num_classes=3, null_class=True)
    model.init_weights(0)
    made = Generator(model, config, np.arange(30) % 3, SHAPE, lambda: False)
    guidance = GuidanceSpec.parse("cfg:weight=2")
    pictures, _ = made.chunk_of(1, SamplerSpec.parse(sampler), guidance, sampling_seed=0)
    assert torch.equal(pictures, untrained_pictures(range(6, 12), SHAPE))


def test_a_picture_depends_on_its_index_alone():
    assert torch.equal(untrained_pictures(range(5, 9), SHAPE), untrained_pictures(range(20), SHAPE)[5:9])
    assert len(untrained_pictures(range(20), SHAPE).flatten(1).unique(dim=0)) == 20


def test_on_digits_they_score_what_the_metrics_say_of_noise(tmp_path, monkeypatch):
    monkeypatch.setenv("ROPE_DIT_CACHE", str(tmp_path))
    found = Reference(load(DataConfig(name="digits")), load_extractor("digits", "cpu"), lambda: False)
    found.make()
    assert {name: round(value, 2) for name, value in found.untrained.items()} == {
        "fd": pytest.approx(25, abs=1), "kid": pytest.approx(1, abs=0.1), "is": 1.6, "precision": 0.33,
        "recall": 0.11, "density": 0.2, "coverage": 0.03, "swd": pytest.approx(63, abs=1),
        "nearest_ratio": 1.75, "nearest_share": 0.0,
    }  # fmt: skip


def test_a_run_says_it_beside_every_score(finished):
    sampled = [row for row in rows(finished) if row["sampler"] != "-"]
    found = {(row["metric"], float(row["untrained"])) for row in sampled}
    assert {metric: round(value, 2) for metric, value in found}.items() >= {
        "is_digits": 1.6, "precision_digits": 0.33, "recall_digits": 0.11
    }.items()  # fmt: skip
    assert len(found) == 11  # the same for every n
