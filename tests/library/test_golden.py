"""Everything that ships computes what it computed when its golden values were recorded."""

from dataclasses import fields

import golden
import pytest
from golden_values import RUNS

from rope_dit.config import NOT_WEIGHTS
from rope_dit.registry import REGISTRIES


@pytest.mark.parametrize(("kind", "name"), golden.cases(), ids=map("/".join, golden.cases()))
def test_computes_what_it_did(kind, name):
    problem = golden.problem(kind, name)
    assert not problem, problem


@pytest.mark.parametrize("kind", golden.KINDS)
def test_nothing_is_recorded_of_what_is_gone(kind):
    gone = golden.read(kind).keys() - set(golden.KINDS[kind].names())
    assert not gone, f"remove them: {golden.COMMAND} {kind}"


def test_every_registry_is_held():
    held = {kind.registry.kind for kind in golden.KINDS.values() if kind.registry}
    free = {"dataset"}  # most need a download; their fingerprint is part of what identifies a run
    free |= {"figure"}  # pictures of numbers
    free |= {"launcher"}  # where a run is carried out changes none of its numbers
    others = {each.kind for each in REGISTRIES.values() if each.names()} - held - free
    assert not others, f"add them to KINDS in tests/support/golden.py: {others}"


def test_every_setting_of_the_first_run_is_another_in_some_other():
    """A branch that none takes would be held by nothing: give a new setting another value in a new run."""
    free = NOT_WEIGHTS | {"dim", "depth", "num_heads", "steps", "batch"}  # sizes
    free |= {"objective", "coupling", "optimizer"}  # each item has values of its own
    free |= {"precision", "compile", "threads"}  # others have other bits on every machine
    (_, *plain), *others = RUNS.values()
    same = [
        field.name
        for i, one in enumerate(plain)
        for field in fields(one)
        if all(getattr(one, field.name) == getattr(settings[i], field.name) for _, *settings in others)
        and field.name not in free
    ]
    assert not same


class Thing:
    """Something of which version and values can be set."""

    def __init__(self):
        self.version, self.values = 1, [1.0, "text"]


@pytest.fixture
def thing(tmp_path, monkeypatch):
    thing = Thing()
    kind = golden.Kind(
        lambda: ["thing"], lambda name: thing.version, lambda name: thing.values, 1e-3, 0, "raise it"
    )
    monkeypatch.setattr(golden, "KINDS", {"things": kind})
    monkeypatch.setattr(golden, "FOLDER", tmp_path)
    return thing


def test_what_is_new_has_to_be_recorded(thing):
    assert golden.problem("things", "thing") == (
        "things/thing has no golden values; record: python tests/support/golden.py --record things/thing"
    )
    assert golden.record("things", ["thing"]) == []
    assert golden.problem("things", "thing") == ""


@pytest.mark.parametrize("values", [[1.01, "text"], [1.0, "other"], [1.0], [float("nan"), "text"]])
def test_a_change_needs_a_version(thing, values, capsys):
    golden.record("things", ["thing"])
    thing.values = values
    assert "its version is still 1. Mend it; or, if that is meant, raise it" in golden.problem(
        "things", "thing"
    )
    assert "at the same version; raise it first" in golden.record("things", ["thing"])[0]
    assert golden.read("things")["thing"]["values"] == [1.0, "text"]
    thing.version = 2
    assert "has version 2, its golden values have 1; record: " in golden.problem("things", "thing")
    assert golden.record("things", ["thing"]) == []
    assert "things/thing: version 1 -> 2, " in capsys.readouterr().out
    assert golden.read("things")["thing"]["version"] == 2


def test_last_digits_may_differ_and_are_not_recorded_anew(thing):
    golden.record("things", ["thing"])
    thing.values = [1.0001, "text"]
    assert golden.problem("things", "thing") == ""
    assert golden.record("things", ["thing"]) == []
    assert golden.read("things")["thing"]["values"] == [1.0, "text"]
