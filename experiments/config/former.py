"""Settings as earlier versions wrote them, in today's form. Imports no torch.

What was only added since needs nothing here: it says with `rope_dit.config.Neutral` what it counted as.
"""

from collections.abc import Mapping
from typing import Any

from rope_dit.registry.specs import Part, show


def upgraded(written: Any) -> Any:
    """Settings of a run or of a study, as JSON of whichever version, as today's would be written.

    Those of today stay as they are, and so does what is damaged, for whoever reads them to refuse.
    """
    if not isinstance(written, Mapping):
        return written
    found = dict(written)
    for part, convert in _PARTS.items():
        if isinstance(found.get(part), Mapping):
            found[part] = convert(dict(found[part]))
    return found


def upgraded_override(key: str, value: Any) -> tuple[str, Any]:
    """A setting's name, as `train.t_density` or `train.t-density`, and its value, in today's form."""
    match key.replace("-", "_"):
        case "train.t_density":
            return "train.density", value
        case "train.ema_decay":
            if (decay := _number(value)) is not None:
                average = f"warmup:decay={decay:.9g}"
                return "train.averages", average if isinstance(value, str) else (average,)
    return key, value


def upgraded_identity(saved: Mapping[str, str]) -> dict[str, str]:
    """An identity, in today's form: averages change no weights, and were part of it."""
    kept = {key: text for key, text in saved.items() if key not in ("train.averages", "train.ema_decay")}
    return dict(upgraded_override(key, text) for key, text in kept.items())


def upgraded_definition(saved: Any) -> Any:
    """A study's definition, in today's form: guidances were numbers, and there was sampling seed 0 alone."""
    if not isinstance(saved, dict):
        return saved
    found = dict(saved)
    if isinstance(guidances := found.get("guidances"), list):
        found["guidances"] = [str(one) if isinstance(one, float) else one for one in guidances]
    if isinstance(endpoint := found.get("endpoint"), dict) and endpoint.get("sampling_seed") == 0:
        found["endpoint"] = {key: value for key, value in endpoint.items() if key != "sampling_seed"}
    return found


def _number(value: Any) -> float | None:
    """A number, or a text that is one; None for anything else."""
    try:
        return float(value) if isinstance(value, (int, float, str)) else None
    except (ValueError, OverflowError):
        return None


def _train(found: dict[str, Any]) -> dict[str, Any]:
    """Densities and averages had other names, and of averages there was one."""
    renamed = [upgraded_override(f"train.{key}", value) for key, value in found.items()]
    return {key.removeprefix("train."): value for key, value in renamed}


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


def _launch(found: dict[str, Any]) -> dict[str, Any]:
    """The address of a Ray cluster was a setting of its own."""
    if address := found.pop("ray_address", ""):
        found["launcher"] = f"ray:address={address}"
    return found


_PARTS = {"eval": _eval, "launch": _launch, "train": _train}
"""by part of the settings: what turns an earlier version's into today's, in place of what it is given"""
