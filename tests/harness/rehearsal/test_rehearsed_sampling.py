"""Sampling and scoring on a GPU, rehearsed without one: see rehearsal.py."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from contract_grids import sampler_options
from rehearsal import CUDA, HostWaits, cases, moved, positions_for, rehearsal, zero_gradients

from experiments.config.presets import preset
from experiments.datasets.batches import Batches, to_uint8
from experiments.scoring.extractors.load import load_extractor
from experiments.scoring.generate import Generator
from rope_dit.config import ModelConfig
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.model import DiT
from rope_dit.registry import GRIDS, GUIDANCES, OBJECTIVES, POS_EMBEDS, SOLVERS
from rope_dit.samplers.spec import SamplerSpec
from rope_dit.trainer import Training, train

SHAPE = (1, 8, 8)
LABELS = np.arange(20) % 3


def network(variant="rope2d"):
    config = ModelConfig(dim=16, depth=1, num_heads=2, mlp_ratio=2, positions=positions_for(variant))
    return DiT(config, variant, channels=1, image_size=SHAPE[1:], num_classes=3, null_class=True)


def sample(sampler="euler:steps=3", guidance="2", objective="velocity", variant="rope2d"):
    """Pictures of the second chunk; returns what was copied between host and device meanwhile."""
    config = preset("smoke")
    settings = replace(config.train, precision="fp32", compile="off", objective=objective)
    config = replace(config, train=settings, eval=replace(config.eval, chunk=4))
    spec = SamplerSpec.parse(sampler)
    with rehearsal() as watch:
        generator = Generator(moved(network(variant)), config, LABELS, SHAPE, lambda: False)
        generator.load([torch.empty_like(p) for p in generator.model.parameters()], 0)
        generator.solved(0, spec, GuidanceSpec.parse(1), 0)  # tables may be made and kept
        watch.copies.clear()
        pictures = to_uint8(generator.solved(1, spec, GuidanceSpec.parse(guidance), 0)[0])
    assert pictures.shape == (4, *SHAPE)
    assert (pictures.device, pictures.dtype) == (CUDA, torch.uint8)
    return watch.copies


def fixed_steps():
    """Solvers that choose their own steps read their error, and so wait."""
    return [s for e in SOLVERS if not e.claims.get("adaptive") for s in e.specs()]


@pytest.mark.parametrize("spec", cases(fixed_steps(), ("euler", "heun", "unipc2", "sde_heun")))
def test_every_solver(spec):
    assert sample(f"{spec}{',' if ':' in spec else ':'}steps=3") == []


def guidances():
    """Those with a weak network are given weights by the run, which is not rehearsed."""
    own = [spec for entry in GUIDANCES if not entry.claims.get("needs_weak") for spec in entry.specs()]
    return [*own, "2", "2-0.2to0.8"]


@pytest.mark.parametrize("guidance", guidances())
def test_every_guidance(guidance):
    assert sample("heun:steps=3", guidance) == []


@pytest.mark.parametrize("grid", cases((entry.name for entry in GRIDS), ("uniform", "custom")))
def test_every_grid(grid):
    times = [] if "times" in GRIDS[grid].options else ["steps=3"]
    assert sample(f"euler:{','.join([*sampler_options(grid), *times])}") == []


@pytest.mark.parametrize("objective", cases(spec for entry in OBJECTIVES for spec in entry.specs()))
def test_every_objective(objective):
    assert sample(objective=objective) == []


@pytest.mark.parametrize("variant", cases(spec for entry in POS_EMBEDS for spec in entry.specs()))
def test_every_variant(variant):
    assert sample(variant=variant) == []


def test_a_solver_that_reads_a_number_is_found(monkeypatch):
    def solver(velocity, x, noise):
        return x * velocity(x, torch.zeros(())).abs().max().item()

    monkeypatch.setattr(SamplerSpec, "build", lambda spec: solver)
    with pytest.raises(HostWaits):
        sample()


def test_pictures_are_copied_to_the_extractor_and_features_back():
    extractor = load_extractor("digits", torch.device("cpu"))
    pictures = torch.zeros(6, *SHAPE, dtype=torch.uint8)
    with rehearsal() as watch:
        there = replace(extractor, network=moved(extractor.network), device=CUDA, batch=4)
        features = there(pictures)
    assert features.pool.shape == (6, extractor.dim)
    assert {features.pool.device.type, features.logits.device.type} == {"cpu"}
    back = [copy for copy in watch.copies if copy.startswith("cuda to cpu")]
    assert len(back) == 4, "pool and logits of each batch"
    assert len(watch.copies) == len(back) + 2, "and each batch there"


@pytest.mark.parametrize("flip", [False, True])
def test_batches_are_drawn_where_the_pictures_are(monkeypatch, flip):
    monkeypatch.setattr("rope_dit.draws.MOST_STEPS", 2)
    config = replace(preset("smoke").train, precision="fp32", compile="off")
    model = network()
    with rehearsal() as watch:
        images = torch.empty((20, *SHAPE), dtype=torch.uint8, device=CUDA)
        labels = torch.empty(20, dtype=torch.int64, device=CUDA)
        batches = Batches(images, labels, batch=config.batch, seed=0, flip=flip)
        training = Training.fresh(moved(model), config)
        with zero_gradients(model):
            for _ in train(training, batches, seed=0, until=5):
                pass
    assert watch.copies == []
