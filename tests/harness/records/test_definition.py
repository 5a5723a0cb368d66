"""What a study is, in the tags of its MLflow experiment: read back whole from a real store, long or short."""

import pytest
from mirrors import client_fixture, tables_fixture  # noqa: F401

from experiments.records.definition import LENGTH, TAG, read_definition, write_definition


def sized(length: int) -> dict[str, str]:
    """A definition whose JSON has so many characters."""
    return {"x": "y" * (length - len('{"x": ""}'))}


@pytest.fixture
def study(client):
    return client.create_experiment("study")


def tags(client) -> dict[str, str]:
    return client.get_experiment_by_name("study").tags


def test_what_was_written_is_read(client, study):
    definition = {
        "name": "study",
        "arms": {"a": "rope2d", "b": "none"},
        "margin": 0.02,
        "note": "\u00e4 'quoted'\n",
    }
    write_definition(client, study, definition)
    assert read_definition(client, "study") == definition


@pytest.mark.parametrize("length", [10, LENGTH - 1, LENGTH, LENGTH + 1, 2 * LENGTH, 7 * LENGTH + 5])
def test_long_ones_take_several_tags(client, study, length):
    write_definition(client, study, sized(length))
    assert read_definition(client, "study") == sized(length)
    kept = [value for name, value in tags(client).items() if name.startswith(TAG)]
    assert sum(map(len, kept)) == length
    assert max(map(len, kept)) <= 5000  # width of the column in MLflow's SQL stores; SQLite does not mind


@pytest.mark.parametrize("shorter", [10, LENGTH, LENGTH + 1, 2 * LENGTH])
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
