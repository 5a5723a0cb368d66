"""The contract of each kind holds for whatever is registered: a new file is tested without editing a test.

`contract_<kind>.py` says in CHECKS what holds of each item of that kind; each check is called with its name.
"""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rope_dit.registry import REGISTRIES

KINDS = sorted(path.stem.removeprefix("contract_") for path in Path(__file__).parent.glob("contract_*.py"))


def checks(kind: str) -> list[Callable[[str], None]]:
    """What holds of each item of a kind."""
    found: list[Callable[[str], None]] = importlib.import_module(f"contract_{kind}").CHECKS
    return found


def cases() -> Iterator[object]:
    for kind in KINDS:
        for name in REGISTRIES[kind].names():
            for check in checks(kind):
                yield pytest.param(check, name, id=f"{kind}-{name}-{check.__name__}")


@pytest.mark.parametrize(("check", "name"), cases())
def test_contract(check, name):
    check(name)
