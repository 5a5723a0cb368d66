"""All items of a run, tried on two pictures before its first step: what fails is told in a second, not at
the end of days.

Nothing that is made here is kept, and no number of the run depends on it. Every rank tries all, on its own,
so that each finds the same.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from experiments.cli.plugins import plugin_errors
from experiments.config.registries import EXTRACTORS
from experiments.config.run import RunConfig
from experiments.datasets.batches import to_float
from experiments.runner.resolve import Resolved
from experiments.scoring.generate import Generator
from rope_dit import flow
from rope_dit.checkpoint import same_layout
from rope_dit.config import TrainConfig, spec_fields
from rope_dit.draws import Draws, Inputs
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.ranks import ONE
from rope_dit.registry import (
    AVERAGES,
    COUPLINGS,
    DENSITIES,
    GRIDS,
    GUIDANCES,
    OBJECTIVES,
    OPTIMIZERS,
    POS_EMBEDS,
    POSITIONS,
    SCHEDULES,
    SOLVERS,
    Entry,
    Part,
    Registry,
)
from rope_dit.samplers.spec import SamplerSpec
from rope_dit.trainer import Training, autocast, backward, train

PICTURES = 2
SHORT = 2  # steps of a sampler that is tried
MOST_EVALUATIONS = 64  # of the network, after which a solver that chooses its own times is believed

Given = Callable[[int], tuple[Tensor, Tensor, Draws]]
"""step -> images, labels and draws"""


def try_items(resolved: Resolved) -> tuple[int, int]:
    """Make one training step and a few pictures and features, on throw-away weights.

    Returns:
        The bytes of a checkpoint, and those of a picture's features.

    Raises:
        UserError: a plug-in's item raised something, or returned what cannot be used.
    """
    config = resolved.config
    settings = replace(config.train, batch=PICTURES, steps=1, warmup_steps=0, compile="off")
    _try_numbers(config.train)
    with plugin_errors(*_entries(config, POS_EMBEDS, POSITIONS, OBJECTIVES, OPTIMIZERS, AVERAGES)):
        training = Training.fresh(resolved.build_model(), settings)
    step = _try_draws(resolved, training)
    _try_step(resolved, training, step)
    size = sum(tensor.nbytes for tensor in training.tensors().values())
    _try_samplers(resolved, training)
    return size, _try_extractor(resolved)


def _try_numbers(config: TrainConfig) -> None:
    """Schedule and averages are functions of a number."""
    with plugin_errors(*_parts(SCHEDULES, config.schedule)):
        for done in (0.0, 0.5, 1.0):
            _expect_number(SCHEDULES.bind(config.schedule)(done))
    for spec in config.averages:
        with plugin_errors(*_parts(AVERAGES, spec)):
            for step in (0, 1, config.steps - 1):
                _expect_number(AVERAGES.bind(spec)(step))


def _try_draws(resolved: Resolved, training: Training) -> Given:
    """Density and coupling; returns the inputs of a step of two pictures."""
    config, images = resolved.config, resolved.images
    pictures, labels = (
        torch.from_numpy(part[:PICTURES]).to(resolved.device) for part in (images.train, images.train_labels)
    )
    batch = to_float(pictures), labels
    with plugin_errors(*_entries(config, POSITIONS)):
        inputs = Inputs(training.config, lambda step: batch, config.seed, training.model.num_moves)
    with plugin_errors(*_entries(config, DENSITIES, COUPLINGS)):
        drawn = inputs(0)
        draw = drawn[2]
        _expect_tensor(draw.t_B, (PICTURES,))
        _expect(draw.t_B.dtype == torch.float32, f"times of {draw.t_B.dtype}", "float32")
        low, high = draw.t_B.aminmax()
        _expect(low >= 0 and high <= 1, f"times from {low:g} to {high:g}", "0 to 1")
        _expect_tensor(draw.noise_BCHW, batch[0].shape)
    return lambda step: drawn


def _try_step(resolved: Resolved, training: Training, step: Given) -> None:
    """Forward, loss, backward, and then a step as it will be made."""
    config, model = resolved.config, training.model
    images, labels, draw = step(0)
    moves = {} if draw.moves_BN is None else {"moves_BN": draw.moves_BN}
    with plugin_errors(*_entries(config, POS_EMBEDS, POSITIONS)):
        with torch.no_grad(), autocast(training.config, images.device):
            for given in (moves, {}):
                _expect_tensor(model(images, draw.t_B, labels, **given), images.shape)
    with plugin_errors(*(_entries(config, OBJECTIVES) or _entries(config, POS_EMBEDS, POSITIONS))):
        rows = 2 - training.objective.trains_velocity
        loss, losses_RB, _ = backward(training, step, ONE.share(flow.loss, model), ONE)
        _expect_tensor(losses_RB, (rows, PICTURES))
        _expect_tensor(loss, ())
        model.zero_grad(set_to_none=True)
    with plugin_errors(*_entries(config, OPTIMIZERS, AVERAGES, POS_EMBEDS, POSITIONS, OBJECTIVES)):
        before = {name: tensor.detach().clone() for name, tensor in training.tensors().items()}
        batch = images, labels
        for _ in train(training, lambda step: batch, seed=config.seed, until=1):
            training.guard.check(training.config)
        same_layout(before, training.tensors())
        for name, weights in training.profiles().items():
            finite = all(bool(weight.isfinite().all()) for weight in weights)
            _expect(finite, f"weights '{name}' with NaN or infinity after a step", "numbers")


class _Enough(Exception):
    """A solver has evaluated the network often enough."""


def _try_samplers(resolved: Resolved, training: Training) -> None:
    """Each sampler with the first guidance, and the first sampler with each guidance."""
    evaluation = resolved.config.eval
    samplers, guidances = evaluation.sampler_specs, evaluation.guidance_specs
    pairs = [(sampler, guidances[0]) for sampler in samplers]
    pairs += [(samplers[0], guidance) for guidance in guidances[1:]]
    for sampler, guidance in pairs:
        own = [
            *_parts(SOLVERS, sampler.solver),
            *_parts(GRIDS, sampler.grid),
            *_parts(GUIDANCES, guidance.name),
        ]
        others = _entries(resolved.config, OBJECTIVES, POS_EMBEDS, POSITIONS)
        with plugin_errors(*(own if any(entry.is_plugin for entry in own) else others)):
            _try_times(sampler)
            _try_pictures(resolved, training, sampler, guidance)


def _try_times(sampler: SamplerSpec) -> None:
    """The times of a sampler with all of its steps."""
    if sampler.steps is None:
        return
    times = sampler.build().times
    _expect_tensor(times, (sampler.steps + 1,))
    expected = "float64, from 0 to 1, not falling"
    ok = times.dtype == torch.float64 and times[0] == 0 and times[-1] == 1 and bool((times.diff() >= 0).all())
    _expect(ok, f"times {times[0]:g} to {times[-1]:g} of {times.dtype}", expected)


def _try_pictures(
    resolved: Resolved, training: Training, sampler: SamplerSpec, guidance: GuidanceSpec
) -> None:
    left = iter(range(MOST_EVALUATIONS))

    def stop() -> bool:
        if next(left, None) is None:
            raise _Enough
        return False

    images, config = resolved.images, replace(resolved.config, train=training.config)
    shape = images.train.shape[1:]
    generator = Generator(training.model, config, images.train_labels, shape, stop)
    short = sampler if sampler.steps is None else replace(sampler, steps=min(sampler.steps, SHORT))
    try:
        x_BCHW, _ = generator.solved(range(PICTURES), short, guidance, 0)
    except _Enough:
        return
    _expect_tensor(x_BCHW, (PICTURES, *shape))


def _try_extractor(resolved: Resolved) -> int:
    """Features of two pictures; returns the bytes of one's."""
    extractor, name = resolved.extractor, resolved.config.eval.extractor.partition(":")[0]
    with plugin_errors(*(entry for entry in EXTRACTORS if entry.name == name)):
        made = extractor(torch.from_numpy(resolved.images.train[:PICTURES]))
        _expect_tensor(made.pool, (PICTURES, extractor.dim))
        _expect_tensor(made.logits, (PICTURES, *made.logits.shape[1:2]))
    return (made.pool.nbytes + made.logits.nbytes) // PICTURES


def _entries(config: RunConfig, *registries: Registry[Any]) -> list[Entry]:
    """Items of these kinds that the run's network and training name."""
    specs = [(POS_EMBEDS, config.variant)]
    for part in (config.model, config.train):
        for name, registry in spec_fields(type(part)).items():
            value = getattr(part, name)
            specs += [(registry, spec) for spec in ((value,) if isinstance(value, str) else value)]
    return [entry for kind, spec in specs if kind in registries for entry in _parts(kind, spec)]


def _parts(registry: Registry[Any], spec: str) -> list[Entry]:
    """Items that a spec names; none of an empty one."""
    return [registry[Part.parse(text).name] for text in spec.split("+") if text]


def _expect_tensor(got: object, shape: tuple[int, ...]) -> None:
    """A tensor of that shape, of real numbers that are finite."""
    if not isinstance(got, Tensor):
        raise TypeError(f"got {type(got).__name__}, expected a tensor {list(shape)}")
    _expect(got.shape == shape, f"a tensor {list(got.shape)}", list(shape))
    _expect(got.is_floating_point(), str(got.dtype), "a tensor of floats")
    _expect(bool(got.isfinite().all()), "NaN or infinity", "numbers")


def _expect_number(got: Any) -> None:
    _expect(math.isfinite(float(got)), repr(got), "a number")


def _expect(ok: object, got: object, expected: object) -> None:
    if not ok:
        raise ValueError(f"got {got}, expected {expected}")
