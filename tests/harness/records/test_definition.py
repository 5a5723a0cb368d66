"""What a study is, in the tags of its MLflow experiment: read back whole from a real store, long or short."""

import json
from dataclasses import replace

import pytest
from mirrors import client_fixture, tables_fixture  # noqa: F401

from experiments.config.text import to_json
from experiments.records.definition import (
    LENGTH,
    TAG,
    ArmRecord,
    Definition,
    Endpoint,
    Look,
    read_definition,
    write_definition,
)
from rope_dit.errors import UserError

SAMPLER = "euler:grid=uniform,steps=2"
SMALL = Definition(
    name="study", kind="ablate", created=1.8e9, preset="smoke", data="digits",
    endpoint=Endpoint(
        metric="fd_digits", extractor="digits", sampler=SAMPLER, guidance="cfg:weight=3", ema="0.9", n=100,
        train_step=20, better="lower",
    ),
    arms=(ArmRecord("a", "rope2d:theta=100", {"train.lr": "0.02"}), ArmRecord("b", "none", {})), seeds=(0, 1),
    samplers=(SAMPLER,), guidances=("1", "cfg:weight=3"), sampling_seeds=2, baseline="b", margin=0.02,
    comparisons=(("a", "b"),), planned_seeds=2, looks=(Look(1.8e9, 2),),
)  # fmt: skip
OLD = """{"name": "study", "kind": "ablate", "created": 1784800000.5, "preset": "smoke", "data": "digits",
"endpoint": {"metric": "fd_digits", "extractor": "digits", "sampler": "euler:grid=uniform,steps=2",
"guidance": "1", "ema": "0.9", "n": 100, "train_step": 20, "sampling_seed": 0, "better": "lower"},
"arms": [{"label": "a", "spec": "rope2d:theta=100", "overrides": {"train.lr": "0.02"}}], "seeds": [0, 1],
"samplers": ["euler:grid=uniform,steps=2"], "guidances": [1.0], "sampling_seeds": 2, "baseline": "a",
"margin": 0.02, "comparisons": [["a", "b"]], "planned_seeds": 2,
"looks": [{"time": 1784800000.5, "seeds": 2}]}"""


def sized(length: int) -> Definition:
    """A definition whose JSON has so many characters."""
    short = replace(SMALL, preset="")
    return replace(short, preset="y" * (length - len(json.dumps(to_json(short)))))


@pytest.fixture
def study(client):
    return client.create_experiment("study")


def tags(client) -> dict[str, str]:
    return client.get_experiment_by_name("study").tags


def test_what_was_written_is_read(client, study):
    definition = replace(SMALL, preset="\u00e4 'quoted'\n")
    write_definition(client, study, definition)
    assert read_definition(client, "study") == definition


def test_a_study_of_before_guidance_was_a_spec_and_noise_a_choice_is_read(client, study):
    client.set_experiment_tag(study, f"{TAG}.0", OLD)
    found = read_definition(client, "study")
    assert found.endpoint.fields() == {
        **{"metric": "fd_digits", "extractor": "digits", "sampler": SAMPLER, "ema": "0.9", "n": 100},
        **{"guidance": "cfg:begin=0,end=1,weight=1", "train_step": 20},
        **{"tokens": "trained", "extrapolation": "none", "classes": "data"},
    }
    assert (found.endpoint.samplings, found.endpoint.fixed_noise) == (1, True)
    assert found.guidances == ("cfg:begin=0,end=1,weight=1",)
    assert found.arms == (ArmRecord("a", "rope2d:theta=100", {"train.lr": "0.02"}),)
    assert found.comparisons == (("a", "b"),)
    assert found.looks == (Look(1784800000.5, 2),)


def test_a_study_of_before_margins_had_units_is_read(client, study):
    client.set_experiment_tag(study, f"{TAG}.0", OLD)
    found = read_definition(client, "study")
    assert (found.margin_unit, found.endpoint.learned) == ("mean", None)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "2 % of the baseline's distance from the real floor"),
        ({"comparisons": (("b", "a"),)}, "2 % of the reference's distance from the real floor"),
        ({"margin_unit": "mean"}, "2 % of the baseline's mean"),
        ({"margin_unit": "absolute", "margin": 12345.0}, "12345 in the endpoint's units"),
    ],
)
def test_a_margin_is_said_with_its_unit(changes, text):
    assert replace(SMALL, **changes).margin_text == text


def test_one_that_is_being_written_says_so(client, study):
    client.set_experiment_tag(study, f"{TAG}.0", OLD[:100])
    with pytest.raises(UserError, match="study is being written; try again"):
        read_definition(client, "study")


@pytest.mark.parametrize("length", [2000, LENGTH - 1, LENGTH, LENGTH + 1, 2 * LENGTH, 7 * LENGTH + 5])
def test_long_ones_take_several_tags(client, study, length):
    write_definition(client, study, sized(length))
    assert read_definition(client, "study") == sized(length)
    kept = [value for name, value in tags(client).items() if name.startswith(TAG)]
    assert sum(map(len, kept)) == length
    assert max(map(len, kept)) <= 5000  # width of the column in MLflow's SQL stores; SQLite does not mind


@pytest.mark.parametrize("shorter", [2000, LENGTH, LENGTH + 1, 2 * LENGTH])
def test_a_shorter_one_leaves_nothing_of_a_longer_one(client, study, shorter):
    write_definition(client, study, sized(3 * LENGTH + 7))
    write_definition(client, study, sized(shorter))
    assert read_definition(client, "study") == sized(shorter)
    write_definition(client, study, sized(3 * LENGTH + 7))
    assert read_definition(client, "study") == sized(3 * LENGTH + 7)


def test_an_experiment_that_is_no_study_has_none(client):
    client.create_experiment("plain", tags={"mine": "1"})
    assert read_definition(client, "plain") is None
    assert read_definition(client, "nowhere") is None
