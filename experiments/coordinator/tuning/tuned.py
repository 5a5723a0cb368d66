"""What a tuning study found, as the start of the study that confirms it. Imports no torch."""

import json
from dataclasses import replace
from pathlib import Path

from experiments.config.former import upgraded
from experiments.config.study import StudyConfig
from experiments.config.text import from_json
from experiments.coordinator.arm import Arm
from rope_dit.errors import UserError


def tuned_defaults(name: str, studies: Path) -> StudyConfig:
    """The study that confirms what tuning found: default and tuned configuration of every arm.

    Raises UserError where the tuning is not there or not finished.
    """
    file = studies / name / "tuned.json"
    if not file.is_file():
        why = "has not come to its end" if (studies / name).is_dir() else "is not there"
        raise UserError(
            f"tuning study {studies / name} {why}; first: python -m experiments.study tune --name {name}"
        )
    saved = json.loads(file.read_text())
    config = from_json(StudyConfig, upgraded(saved["config"]))
    texts = []
    for one in saved["arms"]:
        found = [one["default"]]
        if one["trial"] != 0:  # else the default configuration was the best
            found.append(one["tuned"])
        texts += [str(Arm.parse(text, stored=True)) for text in found]
    return replace(config, name="", variants=(), arms=tuple(texts), baseline="", dry_run=False)
