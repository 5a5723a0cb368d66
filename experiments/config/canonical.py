"""Specs of a run in one form: all options there, sorted, so that equal runs have equal settings.

Imports no torch, and no file of an item.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from experiments.config.run import ALL, RunConfig
from rope_dit.averages.names import RAW, average_name, named
from rope_dit.config import ModelConfig, TrainConfig, spec_fields
from rope_dit.errors import UserError, check
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.registry import EXTRAPOLATIONS, POS_EMBEDS, Registry
from rope_dit.samplers.spec import SamplerSpec

C = TypeVar("C")


def canonical(config: RunConfig, *, stored: bool = False) -> RunConfig:
    """Settings whose specs have all of their options.

    Args:
        config: settings.
        stored: they come from a record; options that it lacks are as was done before they were there.

    Raises:
        UserError: an unknown name or option, or a value that does not fit.
    """
    samplers = tuple(str(SamplerSpec.parse(text, stored=stored)) for text in config.eval.samplers)
    guidances = tuple(str(GuidanceSpec.parse(text, stored=stored)) for text in config.eval.guidances)
    extrapolations = tuple(
        text if text == ALL else EXTRAPOLATIONS.canonical(text, stored=stored)
        for text in config.eval.extrapolations
    )
    averages = [average_name(spec) for spec in config.train.averages]
    check(len({*averages}) == len(averages), "train.averages", " ".join(averages), "each average once")
    for name in config.averages:
        kept = f"raw or an average that the run keeps: {', '.join(averages)} (train.averages)"
        check(name in (RAW, *averages), "eval.averages", name, kept)
    for text in guidances:
        _check_weak(config, GuidanceSpec.parse(text), averages)
    return replace(
        config,
        variant=POS_EMBEDS.canonical(config.variant, stored=stored),
        model=_canonical(config.model, stored),
        train=_canonical(config.train, stored),
        eval=replace(
            _canonical(config.eval, stored),
            samplers=samplers,
            guidances=guidances,
            extrapolations=extrapolations,
        ),
    )


def _check_weak(config: RunConfig, guidance: GuidanceSpec, averages: Sequence[str]) -> None:
    """Raise UserError unless the weights that a guidance asks are kept, and others than those it guides."""
    if not guidance.weak:
        return
    words = [re.sub("[-.]", "_", name) for name in (RAW, *averages)]
    kept = f"weights that the run keeps: {', '.join(words)} (train.averages)"
    name, what = named(guidance.weak, (RAW, *averages)), f"eval.guidances: {guidance.name}'s option 'weak'"
    check(name is not None, what, guidance.weak, kept)
    others = name != config.main_average and {*config.averages} != {name}
    check(
        others,
        what,
        guidance.weak,
        "other weights than those it guides: not the first of train.averages",
    )


def canonical_like(config: RunConfig, there: RunConfig | None) -> RunConfig:
    """Settings with all options; specs that only lack those added later are as they are `there`."""
    if there is None:
        return replace(config, model=_canonical(config.model, False), train=_canonical(config.train, False))
    for part in ("model", "train"):
        now, before = (_canonical(getattr(config, part), stored) for stored in (False, True))
        known = getattr(there, part)
        same = {name: getattr(known, name) for name in spec_fields(type(known))
                if getattr(known, name) == getattr(before, name)}  # fmt: skip
        config = replace(config, **{part: replace(now, **same)})
    return config


def keeping(asked: RunConfig, kept: Sequence[str], where: object) -> RunConfig:
    """Settings for what was begun with these averages: it keeps them all, and those asked for are scored.

    Args:
        asked: settings.
        kept: specs of the averages, of which the first counts.
        where: the run or study that keeps them, for the message.

    Raises:
        UserError: an average is asked for that is none of them.
    """
    names = [average_name(spec) for spec in kept]
    for name in map(average_name, asked.train.averages):
        if name not in names:
            raise UserError(f"train.averages: {where} did not keep '{name}' from its start; it has "
                            f"{', '.join(names)}. Leave it out, or train anew elsewhere.")  # fmt: skip
    return scoring(replace(asked, train=replace(asked.train, averages=tuple(kept))), asked.averages)


def scoring(config: RunConfig, averages: Sequence[str]) -> RunConfig:
    """Settings under which the pictures of these averages, given by name, are scored."""
    kept = {average_name(spec): spec for spec in config.train.averages}
    every = [*kept] == sorted(averages, key=[*kept, *averages].index)
    specs = () if every else tuple(kept.get(name, name) for name in averages)
    return replace(config, eval=replace(config.eval, averages=specs))


def canonical_value(key: str, text: str, *, stored: bool = False) -> str:
    """A setting's text, such as that of `train.optimizer`, with all options where it is a spec or a list.

    >>> canonical_value("train.averages", "warmup/power"), canonical_value("train.lr", "3e-4")
    ('warmup:decay=0.99/power:std=0.1', '3e-4')
    """
    part, _, name = key.replace("-", "_").partition(".")
    registry = spec_fields({"model": ModelConfig, "train": TrainConfig}[part]).get(name)
    if registry is None:
        return text
    return "/".join(registry.canonical(spec, stored=stored) for spec in text.split("/"))


def _canonical(part: C, stored: bool) -> C:
    changes: dict[str, Any] = {}
    for name, registry in spec_fields(type(part)).items():
        value = getattr(part, name)
        several = isinstance(value, tuple)
        found = tuple(registry.canonical(spec, stored=stored) for spec in (value if several else (value,)))
        changes[name] = found if several else found[0]
    return replace(part, **changes)  # type: ignore[type-var]


def spec_identity(field: str, registry: Registry[Any], spec: str) -> Mapping[str, str]:
    """What a run's identity says of a spec; nothing of the name under which the registry would say it."""
    return {field if key == registry.kind else key: text for key, text in registry.identity(spec).items()}
