"""All items of a run, tried on two pictures before its first step: what fails is told in a second, not at
the end of days.

Nothing that is made here is kept, and no number of the run depends on it. Every rank tries all, on its own,
so that each finds the same.
"""

import contextlib
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from experiments.cli.plugins import plugin_errors
from experiments.config.registries import DATASETS, EXTRACTORS
from experiments.config.run import RunConfig
from experiments.datasets.batches import to_float
from experiments.records.score import TRAINED
from experiments.runner.items import items
from experiments.runner.resolve import Resolved
from experiments.scoring.apart.sample_grid import grid
from experiments.scoring.generate import Generator
from experiments.scoring.jobs import larger_jobs
from experiments.scoring.probes import find
from experiments.scoring.probing import subject
from rope_dit import flow
from rope_dit.checkpoint import same_layout
from rope_dit.config import TrainConfig
from rope_dit.draws import Draws, Inputs
from rope_dit.guidance.base import times
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.ranks import ONE
from rope_dit.registry import (
    AVERAGES,
    COUPLINGS,
    DENSITIES,
    EXTRAPOLATIONS,
    GRIDS,
    GUIDANCES,
    OBJECTIVES,
    OPTIMIZERS,
    POS_EMBEDS,
    POSITIONS,
    SCHEDULES,
    SOLVERS,
    Entry,
    Registry,
)
from rope_dit.samplers.spec import SamplerSpec
from rope_dit.trainer import Training, autocast, backward, train

PICTURES = 2
STEPS = 2  # of the training and of a sampler that are tried
MOST_EVALUATIONS = 64  # of the network, after which a solver that chooses its own times is believed

Given = Callable[[int], tuple[Tensor, Tensor, Draws]]
"""step -> images, labels and draws"""


def try_items(resolved: Resolved) -> tuple[int, int]:
    """Make training steps, a few pictures and features, on throw-away weights.

    Returns:
        The bytes of a checkpoint, and those of a picture's features.

    Raises:
        UserError: a plug-in's item raised something, or returned what cannot be used.
    """
    settings = replace(resolved.config.train, batch=PICTURES, steps=STEPS, warmup_steps=0, compile="off")
    with plugin_errors(*items(resolved.config)):
        training = Training.fresh(resolved.build_model(), settings)
    _try_numbers(resolved.config.train, resolved)
    given = _try_draws(resolved, training)
    _try_network(resolved, training, given)
    _try_objective(resolved, training, given)
    _try_steps(resolved, training, given)
    size = sum(tensor.nbytes for tensor in training.tensors().values())
    generator, allowance = _throw_away(resolved, training)
    _try_samplers(resolved, generator, allowance)
    _try_larger(resolved, generator, allowance)
    _try_probes(resolved, generator, allowance)
    return size, _try_extractor(resolved)


def _try_numbers(config: TrainConfig, resolved: Resolved) -> None:
    """Schedule and averages are functions of a number."""
    with plugin_errors(*_suspects(resolved.config, SCHEDULES)):
        for done in (0.0, 0.5, 1.0):
            _expect_number(SCHEDULES.bind(config.schedule)(done))
    with plugin_errors(*_suspects(resolved.config, AVERAGES)):
        for spec in config.averages:
            for step in (0, 1, config.steps - 1):
                _expect_number(AVERAGES.bind(spec)(step))


def _try_draws(resolved: Resolved, training: Training) -> Given:
    """Density and coupling; returns the inputs of the steps."""
    images, device = resolved.images, resolved.device
    pictures, labels = (torch.from_numpy(part[:PICTURES]) for part in (images.train, images.train_labels))
    batch = to_float(pictures.to(device)), labels.to(device)
    inputs = Inputs(training.config, lambda step: batch, resolved.config.seed, training.model.num_moves)
    with plugin_errors(*_suspects(resolved.config, DENSITIES, COUPLINGS)):
        for step in range(STEPS):
            _, _, draw = inputs(step)
            _expect_tensor(draw.t_B, (PICTURES,))
            _expect(draw.t_B.dtype == torch.float32, f"times of {draw.t_B.dtype}", "float32")
            low, high = draw.t_B.aminmax()
            _expect(low >= 0 and high <= 1, f"times from {low:g} to {high:g}", "0 to 1")
            _expect_tensor(draw.noise_BCHW, batch[0].shape)
    return inputs


def _try_network(resolved: Resolved, training: Training, given: Given) -> None:
    """The network with its tokens as in training and as in evaluation."""
    images, labels, draw = given(0)
    moves = {} if draw.moves_BN is None else {"moves_BN": draw.moves_BN}
    with plugin_errors(*_suspects(resolved.config, POS_EMBEDS, POSITIONS)):
        with torch.no_grad(), autocast(training.config, images.device):
            for moved in (moves, {}):
                _expect_tensor(training.model(images, draw.t_B, labels, **moved), images.shape)


def _try_objective(resolved: Resolved, training: Training, given: Given) -> None:
    images, _, draw = given(0)
    objective, x_t = training.objective, flow.interpolate(draw.noise_BCHW, images, draw.t_B)
    with plugin_errors(*_suspects(resolved.config, OBJECTIVES)):
        _expect_tensor(objective.truth(draw.noise_BCHW, images), images.shape)
        _expect_tensor(objective.velocity(torch.zeros_like(images), x_t, draw.t_B), images.shape)
        given_losses = objective.losses(torch.zeros_like(images), x_t, draw.noise_BCHW, images, draw.t_B)
        _expect_tensor(given_losses, (PICTURES,))


def _try_steps(resolved: Resolved, training: Training, given: Given) -> None:
    """Backward, and then the steps as they will be made."""
    images, labels, _ = given(0)
    with plugin_errors(*_suspects(resolved.config, POS_EMBEDS, POSITIONS, OBJECTIVES)):
        loss, _, _ = backward(training, given, ONE.share(flow.loss, training.model), ONE)
        _expect_tensor(loss, ())
        training.model.zero_grad(set_to_none=True)
    with plugin_errors(*_suspects(resolved.config, OPTIMIZERS, AVERAGES)):
        before = {name: tensor.detach().clone() for name, tensor in training.tensors().items()}
        for _ in train(training, lambda step: (images, labels), seed=resolved.config.seed, until=STEPS):
            training.guard.check(training.config)
        same_layout(before, training.tensors())
        for name, weights in training.profiles().items():
            finite = all(bool(weight.isfinite().all()) for weight in weights)
            _expect(finite, f"weights '{name}' with NaN or infinity after {STEPS} steps", "numbers")


class _Enough(Exception):
    """A network has been evaluated often enough to know that it can be."""


class _Allowance:
    """Raises _Enough at more evaluations of the network than were allowed."""

    left = MOST_EVALUATIONS

    def __call__(self) -> bool:
        self.left -= 1
        if self.left < 0:
            raise _Enough
        return False


def _throw_away(resolved: Resolved, training: Training) -> tuple[Generator, _Allowance]:
    """What samples two pictures from throw-away weights, and how often it may evaluate them."""
    few, allowance, images = replace(resolved.config.eval, chunk=PICTURES), _Allowance(), resolved.images
    config = replace(resolved.config, until=0, train=training.config, eval=few)
    shape = images.train.shape[1:]
    return Generator(training.model, config, images.train_labels, shape, allowance), allowance


def _try_samplers(resolved: Resolved, generator: Generator, allowance: _Allowance) -> None:
    """Each guidance, and each sampler with the first of them."""
    evaluation = resolved.config.eval
    samplers, guidances = evaluation.sampler_specs, evaluation.guidance_specs
    with plugin_errors(*_suspects(resolved.config, GUIDANCES)):
        for guidance in guidances:
            _try_guidance(generator, guidance)
    for sampler in samplers:
        only = replace(evaluation, samplers=(str(sampler),))
        with plugin_errors(*_suspects(replace(resolved.config, eval=only), SOLVERS, GRIDS)):
            allowance.left = MOST_EVALUATIONS
            _try_sampler(generator, sampler, guidances[0])


def _try_larger(resolved: Resolved, generator: Generator, allowance: _Allowance) -> None:
    """Pictures of other grids of tokens, with what is done about them."""
    with plugin_errors(*_suspects(resolved.config, POS_EMBEDS, POSITIONS, EXTRAPOLATIONS)):
        for job in larger_jobs(resolved.config):
            allowance.left = MOST_EVALUATIONS
            generator.take_tokens(job.tokens, job.extrapolation)
            _try_sampler(generator, job.sampler, job.guidance)
    generator.take_tokens(TRAINED, "none")


def _try_probes(resolved: Resolved, generator: Generator, allowance: _Allowance) -> None:
    """Each probe on two held-out pictures; one that takes many evaluations is believed."""
    for spec in resolved.config.eval.probes:
        allowance.left = MOST_EVALUATIONS
        with contextlib.suppress(_Enough):
            find(spec, subject(generator, resolved.images, allowance, PICTURES))


def _try_guidance(generator: Generator, guidance: GuidanceSpec) -> None:
    """The velocity that it makes of a network's, here x itself."""
    made = range(PICTURES)
    with torch.inference_mode():
        labels, x_BCHW = generator.labels(made, 0), generator.noise(made, 0)
        null = generator.model.null_label
        velocity = guidance.velocity(lambda x, t, labels: x.clone(), labels, null, lambda x, t, labels: -x)
        for time in (0.0, 0.5):
            v_BCHW = velocity(x_BCHW, times(x_BCHW, time)[0])
            _expect_tensor(v_BCHW, x_BCHW.shape)


def _try_sampler(generator: Generator, sampler: SamplerSpec, guidance: GuidanceSpec) -> None:
    """Its times with all steps, and pictures with few."""
    if sampler.steps is not None:
        times_S = sampler.build().times
        _expect_tensor(times_S, (sampler.steps + 1,))
        grows = bool((times_S.diff() >= 0).all()) and times_S[0] == 0 and times_S[-1] == 1
        got = f"times from {times_S[0]:g} to {times_S[-1]:g} of {times_S.dtype}"
        _expect(grows and times_S.dtype == torch.float64, got, "float64 that grow from 0 to 1")
        if not sampler.own_times:
            sampler = replace(sampler, steps=min(sampler.steps, STEPS))
    try:
        x_BCHW, _ = generator.solved(0, sampler, guidance, 0)
    except _Enough:
        return
    _expect_tensor(x_BCHW, (PICTURES, *generator.shape))


def _try_extractor(resolved: Resolved) -> int:
    """Features of two pictures, and a sample grid; returns the bytes of one's features."""
    extractor, images = resolved.extractor, resolved.images
    with plugin_errors(*_suspects(resolved.config, DATASETS)):
        grid(images.train[:PICTURES], images.train_labels[:PICTURES], len(images.classes))
    with plugin_errors(*_suspects(resolved.config, EXTRACTORS)):
        made = extractor(torch.from_numpy(resolved.images.train[:PICTURES]))
        _expect_tensor(made.pool, (PICTURES, extractor.dim))
        _expect_tensor(made.logits, (PICTURES, *made.logits.shape[1:2]))
    return (made.pool.nbytes + made.logits.nbytes) // PICTURES


def _suspects(config: RunConfig, *kinds: Registry[Any]) -> list[Entry]:
    """Items of these kinds, or else all plug-ins where none of these is one."""
    found = items(config, *kinds)
    return found if any(entry.is_plugin for entry in found) else items(config)


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
