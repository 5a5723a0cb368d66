"""Probes, one file each: what is measured of the network itself, with held-out pictures.

A probe is a class registered in `PROBES`, with claims and one method. `values` says what it returns, under
names that nothing else has, and which direction is better; `ranges` what values cannot be, as metrics say it;
`default_on` whether it is measured where nobody asks; `cost` in one line what it takes. `measure(subject)`
returns a dict with the keys of `values`; what has no meaning for a network is left out, and its docstring
says when that is. Where there is a method `tables()`, it gives tables of what the last call saw, by name.
Probes import the library, the registry and each other's base alone: they know neither runs nor scores.
"""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from experiments.cli.plugins import plugin_errors
from experiments.config.registries import PROBES
from rope_dit.errors import Diverged

if TYPE_CHECKING:
    import pandas as pd

    from experiments.scoring.probes.base import Subject

__all__ = ["Found", "default_probes", "find", "probe", "probe_all"]


@dataclass(frozen=True)
class Found:
    """What a probe found: its values by their names, and tables of more than that, if it has some."""

    values: dict[str, float]
    tables: dict[str, "pd.DataFrame"] = field(default_factory=dict)


def default_probes() -> list[str]:
    """Names of the probes that are on where nobody asks."""
    return [entry.name for entry in PROBES if entry.claims.get("default_on")]


def probe_all(subject: "Subject") -> dict[str, float]:
    """Values of every probe that is on where nobody asks."""
    return {value: got for name in default_probes() for value, got in probe(name, subject).items()}


def probe(spec: str, subject: "Subject") -> dict[str, float]:
    """Values of one probe, on or off where nobody asks; options as in `bits_per_dim:steps=20`.

    Raises as `find`.
    """
    return find(spec, subject).values


def find(spec: str, subject: "Subject") -> Found:
    """Values of one probe, and tables of more than that.

    Raises Diverged where a value is not finite; a plug-in's mistakes are said as its own.
    """
    name = spec.partition(":")[0]
    entry = PROBES[name]
    with plugin_errors(entry):
        one = PROBES.bind(spec)()
        found: dict[str, float] = one.measure(subject)
        if not found or not found.keys() <= entry.claims["values"].keys():
            got, expected = (", ".join(sorted(keys)) or "nothing" for keys in (found, entry.claims["values"]))
            raise ValueError(f"returned {got}; expected some of {expected}, which it claims as its values")
        for value, number in found.items():
            if not isinstance(number, float):
                raise TypeError(f"returned {value} = {number!r}, expected a float")
            if not math.isfinite(number):
                raise Diverged(f"diverged: {value} of the network is {number}. Lower train.lr.")
        return Found(found, one.tables() if hasattr(one, "tables") else {})
