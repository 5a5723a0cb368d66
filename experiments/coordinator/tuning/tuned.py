"""What a tuning study found, written when it ends, and as the start of the study that confirms it.

Imports no torch.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from experiments.cli.commands import python
from experiments.cli.plugins import check_asked_for
from experiments.config.former import upgraded
from experiments.config.study import StudyConfig, elsewhere
from experiments.config.text import from_json, read_json, to_json
from experiments.coordinator.arm import Arm
from experiments.records.seal import sealed, unsealed
from rope_dit.durable import write_durably
from rope_dit.errors import UserError

FILE = "tuned.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TunedArm:
    """What tuning found for an arm.

    Args:
        default: the arm as it is by default, as text.
        tuned: its best configuration; where none came to its end, the default one.
        trial: number of that configuration, of `trials`; 0 is the default one.
        value: its score at the last step, None where none came to its end.
        default_values: scores of the default configuration by training step.
        steps: training steps of all of them together.
        candidates: all configurations, by their numbers.
        refused: how many were drawn that cannot be, in whose place others were.
    """

    default: str
    tuned: str
    trial: int
    value: float | None
    default_values: Mapping[str, float] = field(default_factory=dict)
    trials: int = 0
    steps: int = 0
    candidates: tuple[str, ...] = ()
    refused: int = 0


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What stands in tuned.json: the study's name, when it ended, its settings as JSON, and its arms."""

    study: str = ""
    created: float = 0.0
    config: Mapping[str, Any]
    arms: tuple[TunedArm, ...]


def write_tuned(path: Path, tuned: Tuned) -> None:
    """Write tuned.json into a study's folder."""
    write_durably(path / FILE, json.dumps(sealed(to_json(tuned)), indent=1).encode())


def tuned_defaults(name: str, studies: Path) -> StudyConfig:
    """The study that confirms what tuning found: default and tuned configuration of every arm.

    Raises UserError where the tuning is not there, not finished, damaged, or found nothing.
    """
    file = studies / name / FILE
    again = python("experiments.study", "tune", "--name", name, *elsewhere(studies))
    if not file.is_file():
        why = "has not come to its end" if (studies / name).is_dir() else "is not there"
        raise UserError(f"tuning study {studies / name} {why}; first: {again}")
    mend = f"restore it, or search again: {again}"
    found, _ = unsealed(read_json(file, mend), file, mend)
    try:
        tuned = from_json(Tuned, found)
        config = from_json(StudyConfig, upgraded(tuned.config))
    except UserError as error:
        raise UserError(f"{file}: {str(error).rstrip('.')}; {mend}.") from None
    check_asked_for(config.plugins, file)
    try:
        arms = tuple(str(Arm.parse(text, stored=True)) for text in _texts(tuned.arms))
    except UserError as error:
        raise UserError(f"{file}: {error}", error.details) from None
    if all(one.value is None for one in tuned.arms):
        raise UserError(f"{file}: no configuration of any arm came to its end; change SPACE or the settings, "
                        f"and search again under another --name.")  # fmt: skip
    return replace(config, name="", variants=(), arms=arms, baseline="", dry_run=False)


def _texts(found: Sequence[TunedArm]) -> Iterator[str]:
    """Each arm as it was by default and, where that was not the best, as it is tuned."""
    for one in found:
        if one.value is None:
            label = one.default.partition("=")[0]
            _log.warning("arm %s: no configuration came to its end; it is compared as by default", label)
        yield from [one.default] if one.trial == 0 else [one.default, one.tuned]
