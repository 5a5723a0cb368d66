"""What of a study's definition its chain seals, and in what the two disagree."""

import contextlib
from collections.abc import Mapping
from typing import Any

from experiments.config.identity import fingerprint
from experiments.records.definition import ArmRecord, Definition, Replacement
from experiments.records.sealing.chain import LOOK, state
from rope_dit.config import neutral
from rope_dit.errors import UserError
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.samplers.spec import SamplerSpec
from rope_dit.words import differing

ONCE = (
    *("name", "kind", "data", "baseline", "margin", "margin_unit"),
    *("planned_seeds", "planned_looks", "confirmed", "best_guidance"),
)
"""what is sealed before a study's first run, with the endpoint's fields"""
ANEW = ("arms", "seeds", "comparisons", "replaced")
"""what is sealed with it, and again when it has grown"""
ARM = "arm "
"""begins the name under which the fingerprint of an arm, with seed 0, is sealed"""


def sealable(definition: Definition) -> dict[str, str]:
    """What a study's chain seals of it, looks left out, as text; values that are neutral are left out too."""
    parts = [
        ("", definition, (*ONCE, *ANEW)),
        ("endpoint ", definition.endpoint, vars(definition.endpoint)),
    ]
    fields = {
        prefix + name.replace("_", " "): text
        for prefix, part, names in parts
        for name in names
        if (text := _text(getattr(part, name))) != _text(neutral(type(part), name))
    }
    fields["data"] = definition.data.partition(":")[0]  # pictures may move; arms' fingerprints hold them
    arms = {arm.label: definition.written_identity(arm.label, 0) for arm in definition.arms}
    return fields | {f"{ARM}{label}": fingerprint(found)[:12] for label, found in arms.items() if found}


def unlike_its_chain(definition: Definition) -> list[str]:
    """A line for each thing that a study's chain says otherwise than the study itself."""
    looks = (
        [link.says for link in definition.chain if link.kind == LOOK],
        [x.says() for x in definition.looks],
    )
    there, now = ({f"look {i}": _words(look) for i, look in enumerate(some, 1)} for some in looks)
    return differing(
        _today(state(definition.chain)) | there, _today(sealable(definition)) | now, ("sealed", "now")
    )


def _text(value: Any) -> str:
    """A field as text: labels of arms, comparisons as `rope2d:learned`, numbers to the last bit."""
    match value:
        case ArmRecord():
            return value.label
        case Replacement():
            return f"{value.arm} at {value.time}"
        case tuple() if value and isinstance(value[0], tuple):
            return " ".join(map(":".join, value))
        case tuple():
            return " ".join(map(_text, value))
    return str(value)


def _words(says: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {text}" for key, text in says.items())


def _today(says: Mapping[str, str]) -> dict[str, str]:
    """With sampler and guidance as today's version writes them, which may have more options."""
    found = dict(says)
    for key, kind in (("endpoint sampler", SamplerSpec), ("endpoint guidance", GuidanceSpec)):
        with contextlib.suppress(UserError, KeyError):  # of a plug-in that is not here
            found[key] = str(kind.parse(found[key], stored=True))
    return found
