"""Registered items that a run's settings name."""

from collections.abc import Iterator
from typing import Any

from experiments.config.registries import DATASETS, EXTRACTORS
from experiments.config.run import RunConfig
from experiments.scoring.jobs import extrapolations
from rope_dit.config import spec_fields
from rope_dit.registry import EXTRAPOLATIONS, GRIDS, GUIDANCES, POS_EMBEDS, SOLVERS, Entry, Part, Registry


def items(config: RunConfig, *kinds: Registry[Any]) -> list[Entry]:
    """Items of these kinds, or else of all, which data, network, training and scoring of a run are made of.

    Raises UserError for names that are not registered.
    """
    return [entry for kind, entry in _items(config) if not kinds or kind in kinds]


def _items(config: RunConfig) -> Iterator[tuple[Registry[Any], Entry]]:
    for registry, text in ((DATASETS, config.data.name), (EXTRACTORS, config.eval.extractor)):
        name = text.partition(":")[0]
        yield from ((registry, entry) for entry in registry if entry.name == name)  # none of a file's path
    yield from _parts(POS_EMBEDS, config.variant)
    for part in (config.model, config.train, config.eval):
        for field, registry in spec_fields(type(part)).items():
            value = getattr(part, field)
            for spec in (value,) if isinstance(value, str) else value:
                yield from _parts(registry, spec)
    for spec in extrapolations(config.eval) if config.eval.token_grids else ():
        yield from _parts(EXTRAPOLATIONS, spec)
    for sampler in config.eval.sampler_specs:
        for guidance in config.eval.guidance_specs:
            names = zip(
                (SOLVERS, GRIDS, GUIDANCES), (sampler.solver, sampler.grid, guidance.name), strict=True
            )
            yield from ((kind, kind[name]) for kind, name in names if name)


def _parts(registry: Registry[Any], spec: str) -> Iterator[tuple[Registry[Any], Entry]]:
    yield from ((registry, registry[Part.parse(text).name]) for text in spec.split("+"))
