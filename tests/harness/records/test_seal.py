"""Records that tell when they were changed."""

import json

import pytest

from experiments.records.seal import SEAL, sealed, unsealed
from rope_dit.errors import UserError

RECORD = {"id": "7", "values": [0.1, 1e-300, None, {"b": 1, "a": "é"}]}


def test_what_was_sealed_is_read_back_through_a_file():
    assert unsealed(json.loads(json.dumps(sealed(RECORD), indent=1)), "f", "restore it") == (RECORD, True)


def test_the_order_of_fields_says_nothing():
    turned = dict(reversed(sealed(RECORD).items()))
    assert unsealed(turned, "f", "restore it") == (RECORD, True)


@pytest.mark.parametrize(
    "change", [{"id": "8"}, {"values": []}, {"more": 1}, {SEAL: "0" * 64}, {SEAL: None}, {SEAL: 5}]
)
def test_a_changed_record_is_named_with_what_to_do(change):
    with pytest.raises(UserError, match=r"^runs/a/config.json was changed .*; restore it\.$"):
        unsealed({**sealed(RECORD), **change}, "runs/a/config.json", "restore it")


def test_a_field_less_is_a_change():
    found = sealed(RECORD)
    del found["id"]
    with pytest.raises(UserError, match="was changed"):
        unsealed(found, "f", "restore it")


@pytest.mark.parametrize("found", [RECORD, {}, [], None, 5, "text"])
def test_what_has_no_seal_is_handed_on_and_said_to_have_none(found):
    assert unsealed(found, "f", "restore it") == (found, False)


def test_sealed_again_after_a_change_it_is_whole():
    again = sealed({**sealed(RECORD), "id": "8"})
    assert unsealed(again, "f", "restore it") == ({**RECORD, "id": "8"}, True)
