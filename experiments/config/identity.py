"""Who a run is: all that changes its weights, as text by field, and how that outlives the code.

An identity leaves out what changes nothing: a setting at its neutral value (see `rope_dit.config.Neutral`),
one that acts on nothing in this run, version 1 of an item and of NUMERICS. So a setting or option that is
added later, and one that is found to be idle, changes no identity of before. Imports no torch.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from typing import Any, TypeVar

from experiments.config.canonical import canonical, spec_identity
from experiments.config.former import upgraded, upgraded_identity
from experiments.config.run import RunConfig
from experiments.config.source_hashes import versions_of
from experiments.config.text import digest, flatten, from_json
from rope_dit.config import NOT_WEIGHTS, NUMERICS, neutral, spec_fields
from rope_dit.errors import UserError
from rope_dit.registry import POS_EMBEDS, Registry

C = TypeVar("C")
SOURCE = "variant source"
"""field of identities of before items had versions: SHA-256 of the bytes of the variant's files"""


def identity(config: RunConfig, data_fingerprint: str, device_type: str, ranks: int = 1) -> dict[str, str]:
    """Every field that changes the weights, as text: a checkpoint is used only where all of them agree.

    Args:
        config: with precision, compile and threads resolved.
        data_fingerprint: of the pictures.
        device_type: cuda, mps or cpu.
        ranks: processes that divide each batch; they add gradients in another order.
    """
    found = {
        **POS_EMBEDS.identity(config.variant),
        **({"numerics": str(NUMERICS)} if NUMERICS > 1 else {}),
        "seed": str(config.seed),
        "data": data_fingerprint,
        "device": device_type,
        **_settings("model", config.model),
        **_settings("train", config.train),
        **({"ranks": str(ranks)} if ranks > 1 else {}),
    }
    return _without_idle(found)


def _settings(part: str, config: Any) -> dict[str, str]:
    kind, specs = type(config), spec_fields(type(config))
    changing = [f.name for f in fields(config) if f.name not in NOT_WEIGHTS]
    values = {name: getattr(config, name) for name in changing if name not in specs}
    found = flatten({part: {k: v for k, v in values.items() if v != neutral(kind, k)}})
    for name, registry in specs.items():
        if name in changing:
            before, key = neutral(kind, name), f"{part}.{name}"
            said = spec_identity(key, registry, getattr(config, name))
            if before is MISSING or said != _neutral_identity(key, registry, before):
                found |= said
    return found


def _neutral_identity(key: str, registry: Registry[Any], before: str) -> Mapping[str, str]:
    """What the identity would say of a setting's neutral value."""
    return spec_identity(key, registry, registry.canonical(before, stored=True))


def _without_idle(found: Mapping[str, str]) -> dict[str, str]:
    """Leave out settings that act on nothing in this run."""
    idle = set()
    if found.get("model.conditional") == "False":  # there is no class to leave out
        idle.add("train.label_dropout")
    if float(found.get("train.weight_decay", "0")) == 0:  # nothing is decayed
        idle.add("train.decay_tables")
    if not any(map(_uses_coordinates, found.get(POS_EMBEDS.kind, "").split("+"))):
        idle.add("model.positions")
    if found.get("device") != "cpu":  # threads change the order of sums on CPUs only
        idle.add("train.threads")
    return {key: text for key, text in found.items() if key not in idle}


def _uses_coordinates(part: str) -> bool:
    """Whether it matters to this part of a variant where tokens are."""
    try:
        return bool(POS_EMBEDS[part.partition(":")[0]].claims.get("uses_coordinates", True))
    except UserError:  # a plug-in that is not here
        return True


def read_identity(saved: Mapping[str, str]) -> dict[str, str]:
    """The identity that a record holds, in the form of `identity`, whichever version wrote it.

    Source hashes of before items had versions are looked up among those of all variants that shipped. One
    that is not known stays, so that the run is refused by that name, unless the files that are here have it.
    """
    found = upgraded_identity(saved)
    sha256, spec = found.get(SOURCE), found.get("variant", "")
    if sha256 is not None:
        versions = versions_of(spec, sha256)
        if versions is not None:
            del found[SOURCE]
            later = {name: number for name, number in versions.items() if number > 1}
            found |= {f"version of {POS_EMBEDS.kind} {name}": str(number) for name, number in later.items()}
        elif sha256 == _bytes_sha256(spec):
            del found[SOURCE]
            found |= POS_EMBEDS.identity(POS_EMBEDS.canonical(spec, stored=True))
    return _without_idle(found)


def identity_of_variant(found: Mapping[str, str], spec: str) -> dict[str, str]:
    """An identity with what the code that is here says of its variant in place of what it held."""
    kept = {key: text for key, text in found.items() if key not in (POS_EMBEDS.kind, SOURCE)}
    code = tuple(f"{word} {POS_EMBEDS.kind} " for word in ("plug-in", "version of"))
    kept = {key: text for key, text in kept.items() if not key.startswith(code)}
    return {**POS_EMBEDS.identity(POS_EMBEDS.canonical(spec, stored=True)), **kept}


def _bytes_sha256(spec: str) -> str:
    """What identities of before items had versions would say of the variant's files as they are here."""
    names = [part.partition(":")[0] for part in spec.split("+")]
    try:
        return hashlib.sha256(b"".join(POS_EMBEDS[name].path.read_bytes() for name in names)).hexdigest()
    except UserError:  # a plug-in that is not here
        return ""


def fingerprint(found: Mapping[str, str]) -> str:
    """SHA-256 of an identity; its first 8 digits end a run folder's name."""
    return digest(dict(found))


def run_name(config: RunConfig, sha256: str) -> str:
    """Name of the run folder, for example `rope2d-s0-1f00c4d2`."""
    return f"{POS_EMBEDS.slug(config.variant)}-s{config.seed}-{sha256[:8]}"


def read_settings(written: Mapping[str, Any]) -> RunConfig:
    """Settings out of a record, with what was not known then at its neutral value. Raises UserError."""
    config = from_json(RunConfig, upgraded(written))
    try:
        return canonical(config, stored=True)
    except UserError:  # a plug-in that is not here; whoever builds it says so
        return config


def as_before(asked: C, written: Mapping[str, Any], default: C, *, rewritten: bool = False) -> C:
    """What is asked of a record that is older than some settings: these keep their neutral values.

    Args:
        asked: settings asked for now.
        written: those of the record, as JSON.
        default: what `asked` started from; what was changed on purpose stays as asked.
        rewritten: whether the record may have been written again since, with the neutral values that it did
            not know at first: then a value that is neutral there counts as unknown.
    """
    changes: dict[str, Any] = {}
    for f in fields(asked):  # type: ignore[arg-type]
        value, usual = getattr(asked, f.name), getattr(default, f.name)
        if is_dataclass(value):
            changes[f.name] = as_before(value, written.get(f.name, {}), usual, rewritten=rewritten)
        elif value == usual:
            before = neutral(type(asked), f.name)
            if f.name in written and not (rewritten and written[f.name] == _as_json(before)):
                continue
            changes |= {} if before is MISSING else {f.name: before}
    return replace(asked, **changes)  # type: ignore[type-var]


def _as_json(value: Any) -> Any:
    """A value of a setting as `to_json` writes it."""
    return json.loads(json.dumps(value, default=str))
