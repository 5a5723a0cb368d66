"""Paths in settings: as records keep them, for every working directory, and where they are after a move.

Imports no torch.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from experiments.cli.paths import everywhere, given
from experiments.config.registries import EXTRACTORS
from experiments.config.run import DataConfig, EvalConfig, RunConfig

C = TypeVar("C")
Change = Callable[[str, bool], str]
"""a text, and whether it surely is a path -> the path to use, or the text as it is"""
WEIGHTS = ".safetensors"
OF_PATHS = ("folder", "file", "inception")
"""data sets and extractors whose argument is a path; that of others is one where something lies there"""
_log = logging.getLogger(__name__)


def located(config: C) -> C:
    """Settings whose data, extractor and plug-ins are found from every working directory.

    Args:
        config: a RunConfig, or what else has fields `data`, `eval` or `plugins`.
    """

    def change(text: str, sure: bool) -> str:
        return str(everywhere(text)) if sure or os.path.exists(os.path.expanduser(text)) else text

    return _changed(config, change)


def brought(config: RunConfig, run: Path, *, scored: bool = True) -> RunConfig:
    """Settings of a run whose data, and extractor if it is `scored`, are where they lie now.

    What is no longer at its path, or was written as a relative one, is looked for from the current folder and
    from those above the run: first under its whole path, then under ever less of its end. Where it is not
    found, the path stays, for whoever needs it to refuse.
    """
    places = (Path.cwd(), *run.absolute().parents)

    def change(text: str, sure: bool) -> str:
        path = given(text)
        if not (sure or path.is_absolute()) or os.path.exists(path):
            return text
        tails = [Path(*path.parts[i:]) for i in range(path.is_absolute(), len(path.parts))]
        found = (place / tail for tail in tails for place in places)
        return str(next(filter(os.path.exists, found), text))

    now = _changed(config, change)
    if not scored:
        return replace(now, eval=config.eval)
    if now.eval != config.eval:  # pictures are known by their fingerprint, whatever their path
        _log.warning("extractor %s: taken from %s", config.eval.extractor, now.eval.extractor)
    return now


def _changed(config: C, change: Change) -> C:
    changes: dict[str, Any] = {}
    for name in {f.name for f in fields(config)} & {"data", "eval", "plugins"}:  # type: ignore[arg-type]
        match getattr(config, name):
            case DataConfig() as data:
                kind, colon, argument = data.name.partition(":")
                spec = kind + colon + (change(argument, kind in OF_PATHS) if argument else "")
                changes[name] = replace(data, name=spec, root=Path(change(str(data.root), True)))
            case EvalConfig() as scoring:
                weights = scoring.inception_weights
                weights = Path(change(str(weights), True)) if weights else None
                extractor = _extractor(scoring.extractor, change)
                changes[name] = replace(scoring, extractor=extractor, inception_weights=weights)
            case Path() as plugins:
                changes[name] = Path(change(str(plugins), True))
    return replace(config, **changes)  # type: ignore[type-var]


def _extractor(spec: str, change: Change) -> str:
    """An extractor's spec with its path changed, if it has one: name:PATH, or the PATH of weights alone."""
    kind, colon, argument = spec.partition(":")
    if kind not in EXTRACTORS.names() and Path(spec).suffix == WEIGHTS:
        return change(spec, True)
    return kind + colon + change(argument, kind in OF_PATHS) if argument else spec
