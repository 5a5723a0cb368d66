"""What earlier versions wrote, in today's form: settings that were renamed or became specs. No torch."""

from collections.abc import Mapping
from typing import Any


def upgraded(written: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a run or a study as JSON, in today's form, whichever version wrote them."""
    found = dict(written)
    if isinstance(train := found.get("train"), Mapping):
        renamed = [upgraded_override(f"train.{key}", value) for key, value in train.items()]
        found["train"] = {key.removeprefix("train."): value for key, value in renamed}
    return found


def upgraded_override(key: str, value: Any) -> tuple[str, Any]:
    """A setting's name, as `train.t_density` or `train.t-density`, and its value, in today's form."""
    match key.replace("-", "_"):
        case "train.t_density":
            return "train.density", value
        case "train.ema_decay":
            average = f"warmup:decay={float(value):.9g}"
            return "train.averages", average if isinstance(value, str) else (average,)
    return key, value


def upgraded_identity(saved: Mapping[str, str]) -> dict[str, str]:
    """An identity, in today's form: averages change no weights, and were part of it."""
    found = dict(upgraded_override(key, text) for key, text in saved.items())
    found.pop("train.averages", None)
    return found
