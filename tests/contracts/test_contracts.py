"""The contract of each kind holds for whatever is registered: a new file is tested without editing a test.

`contract_<kind>.py` says in CHECKS what holds of each item of that kind. Each check is called with the item's
name, and with each value of those of its options whose values can be listed, as in `x:loss=noise`. Checks of
an item that says `starts_slowly = True` are marked slow, and so are those of SLOW.
"""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rope_dit.registry import REGISTRIES

FILES = Path(__file__).parent.glob("*/contract_*.py")
SLOW = {"small_and_turned_round_studies_are_drawn_or_left_out"}
"""checks that draw several figures an item"""
KINDS = sorted(path.stem.removeprefix("contract_") for path in FILES)


def checks(kind: str) -> list[Callable[[str], None]]:
    """What holds of each item of a kind."""
    found: list[Callable[[str], None]] = importlib.import_module(f"contract_{kind}").CHECKS
    return found


def cases() -> Iterator[object]:
    for kind in KINDS:
        of_kind = checks(kind)  # which imports the registry
        for entry, spec in ((item, spec) for item in REGISTRIES[kind] for spec in item.specs()):
            for check in of_kind:
                slow = entry.claims.get("starts_slowly") or check.__name__ in SLOW
                marks = [pytest.mark.slow] if slow else []
                yield pytest.param(check, spec, id=f"{kind}-{spec}-{check.__name__}", marks=marks)


@pytest.mark.parametrize(("check", "spec"), list(cases()))
def test_contract(check, spec):
    check(spec)


def test_every_kind_has_a_contract():
    assert set(KINDS) == set(REGISTRIES)
    assert all(checks(kind) for kind in KINDS)
