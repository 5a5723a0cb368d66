"""Golden values: what everything that ships computes, so that no changed line of mathematics passes unseen.

    python tests/support/golden.py --record variants/rope2d training

records what is new or has a new version, one thing (KIND/NAME) or all of a kind, and prints what changed.
Where values changed and the version did not, it refuses, and says what to do. A change that is meant is a
line under "Numerics" in CHANGELOG.md too.
"""

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from golden_harness import dataset, extractor, metric, picture_metric, probed
from golden_values import (
    RUNS,
    Values,
    average,
    coupling,
    density,
    extrapolation,
    grid,
    guidance,
    objective,
    optimizer,
    position,
    schedule,
    solver,
    stream,
    training,
    variant,
    velocity,
)

import rope_dit
from experiments.config.registries import EXTRACTORS, METRICS, PICTURE_METRICS, PROBES
from experiments.scoring.extractors.classifier_file import WEIGHTS
from rope_dit.config import NUMERICS
from rope_dit.randomness import Stream
from rope_dit.registry import (
    AVERAGES,
    COUPLINGS,
    DENSITIES,
    EXTRAPOLATIONS,
    GRIDS,
    GUIDANCES,
    OBJECTIVES,
    OPTIMIZERS,
    POS_EMBEDS,
    POSITIONS,
    SCHEDULES,
    SOLVERS,
    Registry,
)

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests/library/golden"
COMMAND = "python tests/support/golden.py --record"


@dataclass(frozen=True)
class Kind:
    """Things of one kind: how they are named, computed and compared.

    Args:
        names: of all that ships.
        version: of the thing of a name.
        values: what it computes.
        rtol: relative tolerance, because machines differ in last digits.
        atol: absolute tolerance.
        meant: what to do where a change is meant.
        registry: where they are registered.
    """

    names: Callable[[], Iterable[str]]
    version: Callable[[str], int]
    values: Callable[[str], Values]
    rtol: float
    atol: float
    meant: str
    registry: Registry[Any] | None = None


def registered(
    registry: Registry[Any], values: Callable[[str], Values], rtol: float, atol: float = 0
) -> Kind:
    """All that is registered."""
    meant = f"raise version beside the name in @{registry.variable}.register"
    return Kind(registry.names, lambda name: registry[name].version, values, rtol, atol, meant, registry)


def numerics(names: Iterable[str], values: Callable[[str], Values], rtol: float, atol: float = 0) -> Kind:
    """Parts of what has one version together."""
    return Kind(
        lambda: names, lambda name: NUMERICS, values, rtol, atol, "raise NUMERICS in rope_dit/config.py"
    )


def data(
    names: Iterable[str], values: Callable[[str], Values], rtol: float, registry: Registry[Any] | None = None
) -> Kind:
    """Files that ship; their own hash tells them apart, and alone holds a registry's other things."""
    meant = "remove its line from the file"
    return Kind(lambda: names, lambda name: 1, values, rtol, rtol, meant, registry)


KINDS = {
    # tables are float32: a last digit of 6e-8, in sums of 1,000 numbers of about 1
    "variants": registered(POS_EMBEDS, variant, 1e-5, 1e-5),
    "positions": registered(POSITIONS, position, 1e-12, 1e-12),
    "extrapolations": registered(EXTRAPOLATIONS, extrapolation, 1e-12, 1e-12),
    # float64: functions that differ in the last of 16 digits, and an adaptive solver's steps that follow
    "solvers": registered(SOLVERS, solver, 1e-9),
    "grids": registered(GRIDS, grid, 1e-12),
    "objectives": registered(OBJECTIVES, objective, 1e-9),
    "densities": registered(DENSITIES, density, 1e-6),
    "couplings": registered(COUPLINGS, coupling, 0),
    # Muon makes its steps in bf16, which every processor adds in another order
    "optimizers": registered(OPTIMIZERS, optimizer, 1e-2),
    "schedules": registered(SCHEDULES, schedule, 1e-12),
    "averages": registered(AVERAGES, average, 1e-12),
    # float64, of float32 times
    "guidances": registered(GUIDANCES, guidance, 1e-9),
    # fewer pictures than dimensions: the square root of a covariance that lacks rank keeps half of its digits
    "metrics": registered(METRICS, metric, 1e-5),
    "picture_metrics": registered(PICTURE_METRICS, picture_metric, 1e-9),
    # float32 networks, a few layers deep
    "probes": registered(PROBES, probed, 1e-4, 1e-5),
    # float32 convolutions, which every processor sums in another order
    "extractors": data(sorted(path.stem for path in WEIGHTS.glob("*.json")), extractor, 1e-4, EXTRACTORS),
    "datasets": data(["digits", "layout"], dataset, 0),  # those whose pictures are on every machine
    "streams": numerics([each.name for each in Stream], stream, 0),  # equal bits everywhere are promised
    # float64, but for what the variant and the time bring in float32
    "networks": numerics(RUNS, velocity, 1e-5, 1e-5),
    # float32, and Adam divides by the size of gradients, so that small ones differ as much as large ones
    "training": numerics(RUNS, training, 1e-5, 1e-5),
}


def cases() -> list[tuple[str, str]]:
    """All pairs of kind and name."""
    return [(kind, name) for kind, what in KINDS.items() for name in what.names()]


def read(kind: str) -> dict[str, Any]:
    """What is recorded of a kind: name -> {"version": ..., "values": [...]}."""
    path = FOLDER / f"{kind}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def difference(kind: str, got: Values, recorded: Values) -> str:
    """The first value that is not within tolerance, in words, or an empty string."""
    what = KINDS[kind]
    if len(got) != len(recorded):
        return f"{len(got)} values instead of {len(recorded)}"
    for i, (a, b) in enumerate(zip(got, recorded, strict=True)):
        if a != b and (isinstance(a, str) or not abs(a - b) <= what.atol + what.rtol * abs(b)):
            return f"value {i} is {a} instead of {b}"
    return ""


def problem(kind: str, name: str) -> str:
    """What is wrong with the recorded values of a thing, and what to do, or an empty string."""
    what, command = KINDS[kind], f"record: {COMMAND} {kind}/{name}"
    version, recorded = what.version(name), read(kind).get(name)
    if recorded is None:
        return f"{kind}/{name} has no golden values; {command}"
    if recorded["version"] != version:
        return f"{kind}/{name} has version {version}, its golden values have {recorded['version']}; {command}"
    if changed := difference(kind, what.values(name), recorded["values"]):
        return (
            f"{kind}/{name} computes something else: {changed}, and its version is still {version}. Mend it; "
            f"or, if that is meant, {what.meant}, say so under Numerics in CHANGELOG.md, and {command}"
        )
    return ""


def record(kind: str, names: Iterable[str]) -> list[str]:
    """Record the values of these things and forget those that are gone; returns those it refuses."""
    what, entries, refused = KINDS[kind], read(kind), []
    for name in names:
        new = {"version": what.version(name), "values": what.values(name)}
        old = entries.get(name, new)
        changed = difference(kind, new["values"], old["values"])
        if changed and old["version"] == new["version"]:
            refused.append(f"{kind}/{name}: {changed}, at the same version; {what.meant} first")
        elif name not in entries or old["version"] != new["version"]:
            was = f"version {old['version']} -> {new['version']}, {changed}" if name in entries else "new"
            print(f"{kind}/{name}: {was}")
            entries[name] = new
        else:
            print(f"{kind}/{name}: as recorded")
    lines = [f" {json.dumps(name)}: {json.dumps(entries[name])}" for name in what.names() if name in entries]
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{kind}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return refused


def main() -> None:
    """Record what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--record", nargs="+", required=True, metavar="KIND[/NAME]", help=f"kinds: {', '.join(KINDS)}"
    )
    here = Path(rope_dit.__file__).parents[1]
    assert here == ROOT, f"would record what {here} computes; set PYTHONPATH={ROOT}"
    torch.set_num_threads(1)  # as the tests do
    refused = []
    for kind, _, name in (text.partition("/") for text in parser.parse_args().record):
        known = list(KINDS[kind].names()) if kind in KINDS else []
        if not known or (name and name not in known):
            parser.error(f"got {kind}/{name}, expected one of {', '.join(known or KINDS)}")
        refused += record(kind, [name] if name else known)
    if refused:
        raise SystemExit("not recorded:\n" + "\n".join(refused))


if __name__ == "__main__":
    main()
