"""Settings as earlier versions wrote them, in today's form. Imports no torch.

What was only added since needs nothing here: it says with `rope_dit.config.Neutral` what it counted as.
"""

from collections.abc import Mapping
from typing import Any

from rope_dit.specs import Part, show


def upgraded(written: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a run or of a study, as JSON of whichever version, as today's would be written.

    Those of today stay as they are, and so does what is damaged, for whoever reads them to refuse.
    """
    found = dict(written)
    for part, convert in _PARTS.items():
        if isinstance(found.get(part), Mapping):
            found[part] = convert(dict(found[part]))
    return found


def _eval(found: dict[str, Any]) -> dict[str, Any]:
    """Guidances were weights that shared one interval."""
    interval = found.pop("guidance_interval", [0.0, 1.0])
    if isinstance(found.get("guidances"), list):
        found["guidances"] = [_guidance(one, interval) for one in found["guidances"]]
    return found


def _guidance(one: Any, interval: Any) -> Any:
    match one, interval:
        case int() | float(), [int() | float() as begin, int() | float() as end]:
            options = {"begin": float(begin), "end": float(end), "weight": float(one)}
            return str(Part("cfg", tuple((key, show(value)) for key, value in options.items())))
    return one


_PARTS = {"eval": _eval}
"""by part of the settings: what turns an earlier version's into today's, in place of what it is given"""
