"""Who a run is: config.json of its folder, written once. Imports no torch."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from experiments.config.former import upgraded
from experiments.config.identity import read_identity, read_settings
from experiments.config.run import RunConfig
from experiments.config.text import read_json
from experiments.records.seal import sealed, unsealed
from rope_dit.durable import write_durably
from rope_dit.errors import UserError
from rope_dit.registry import POS_EMBEDS


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """Who a run is, written once.

    Attributes:
        id: random, hexadecimal.
        created: seconds since 1970.
        pairing: SHA-256 of what paired runs share.
        origin: where it comes from: command, device, versions, size.
        identity: all that changes its weights, as `experiments.config.identity` of its time wrote it.
        config: its settings as JSON, with those fields that there were.
    """

    id: str
    created: float
    pairing: Mapping[str, str]
    origin: Mapping[str, str]
    identity: Mapping[str, str]
    config: Mapping[str, Any]

    @property
    def settings(self) -> RunConfig:
        """Its settings; what was not known then is at its neutral value. Raises UserError."""
        return read_settings(self.config)

    @property
    def who(self) -> dict[str, str]:
        """Its identity in the form of today."""
        return read_identity(self.identity)


_PARTS = frozenset(f.name for f in fields(RunRecord))
_TEXTS = ("pairing", "origin", "identity")


def write_record(file: Path, record: RunRecord) -> None:
    """Write a record with its SHA-256. Raises OSError."""
    write_durably(file, json.dumps(sealed(asdict(record)), indent=1).encode())


def read_record(file: Path) -> tuple[RunRecord, bool] | None:
    """What was written, and whether it tells if it was changed; None where there is none.

    Raises UserError where it is something else, was changed, or does not agree with itself.
    """
    if not file.is_file():
        return None
    return record_of(read_json(file, "restore it, or remove the run folder to start again"), file)


def record_of(written: Any, place: object) -> tuple[RunRecord, bool]:
    """The record in the JSON of a config.json, and whether it tells if it was changed.

    Args:
        written: what was read.
        place: the file, for the message.

    Raises UserError where it is something else, was changed, or does not agree with itself.
    """
    found, is_sealed = unsealed(written, place, "restore it, or choose another --out")
    if not _is_record(found):
        raise UserError(f"{place} was not written by this program; choose another --out.")
    record = RunRecord(**{name: found[name] for name in _PARTS})
    if wrong := _disagreement(record):
        text = f"{place} was changed after it was written: {wrong}; restore it, or choose another --out."
        raise UserError(text)
    return record, is_sealed


def _is_record(found: Any) -> bool:
    """Whether all is there, and of the types of a record."""
    if not (isinstance(found, dict) and found.keys() >= _PARTS and isinstance(found["config"], dict)):
        return False
    texts = (found[name] for name in _TEXTS)
    whole = all(isinstance(part, dict) and all(isinstance(v, str) for v in part.values()) for part in texts)
    return whole and type(found["created"]) in (int, float) and isinstance(found["id"], str)


def _disagreement(record: RunRecord) -> str:
    """Where settings, by which scores are named, are not those of the identity; empty where they are."""
    settings = upgraded(record.config)
    kind = POS_EMBEDS.kind
    pairs = {
        "seed": (str(settings["seed"]) if "seed" in settings else None, record.identity.get("seed")),
        kind: (_canonical(settings.get(kind)), _canonical(record.identity.get(kind))),
    }
    wrong = [(name, *pair) for name, pair in pairs.items() if None not in pair and pair[0] != pair[1]]
    return "".join("its settings have {} {}, its identity {}".format(*one) for one in wrong[:1])


def _canonical(variant: object) -> str | None:
    """A variant with all its options; None for one of a plug-in that is not here, and for no variant."""
    try:
        return POS_EMBEDS.canonical(variant, stored=True) if isinstance(variant, str) else None
    except UserError:
        return None
