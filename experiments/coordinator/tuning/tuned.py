"""What a tuning study found, as the start of the study that confirms it. Imports no torch."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.cli.commands import python
from experiments.config.former import upgraded
from experiments.config.study import StudyConfig, elsewhere
from experiments.config.text import from_json
from experiments.coordinator.arm import Arm
from rope_dit.errors import UserError


def tuned_defaults(name: str, studies: Path) -> StudyConfig:
    """The study that confirms what tuning found: default and tuned configuration of every arm.

    Raises UserError where the tuning is not there or not finished.
    """
    file = studies / name / "tuned.json"
    tune = python("experiments.study", "tune", "--name", name, *elsewhere(studies))
    if not file.is_file():
        why = "has not come to its end" if (studies / name).is_dir() else "is not there"
        raise UserError(f"tuning study {studies / name} {why}; first: {tune}")
    try:
        saved = json.loads(file.read_text())
        config, arms = from_json(StudyConfig, upgraded(saved["config"])), _arms(saved["arms"])
    except UserError as error:
        raise UserError(f"{file}: {error}", error.details) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file} is damaged ({error!r}); restore it, or search again: {tune}") from None
    return replace(config, name="", variants=(), arms=arms, baseline="", dry_run=False)


def _arms(found: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Texts of each arm as it was by default and, where that was not the best, as it is tuned."""
    texts: list[str] = []
    for one in found:
        texts += [one["default"]] if one["trial"] == 0 else [one["default"], one["tuned"]]
    return tuple(str(Arm.parse(text, stored=True)) for text in texts)
