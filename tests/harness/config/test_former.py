"""Settings of earlier versions are read as today's, and those of today as they are."""

import copy
from dataclasses import replace

import pytest

from experiments.config.former import upgraded, upgraded_identity, upgraded_override
from experiments.config.identity import read_settings
from experiments.config.presets import PRESETS
from experiments.config.study import study
from experiments.config.text import to_json
from rope_dit.errors import UserError


def of_intervals(guidances: list[float], interval: list[float] | None) -> dict:
    """Settings of a run as they were written when guidances were weights that shared an interval."""
    written = to_json(PRESETS["smoke"])
    written["eval"] |= {"guidances": guidances}
    return (
        written
        if interval is None
        else {**written, "eval": {**written["eval"], "guidance_interval": interval}}
    )


@pytest.mark.parametrize(
    ("guidances", "interval", "today"),
    [
        ([1.0], [0.0, 1.0], ("cfg:begin=0,end=1,weight=1",)),
        ([1.0, 3.0], None, ("cfg:begin=0,end=1,weight=1", "cfg:begin=0,end=1,weight=3")),
        ([1.0, 2.5], [1e-5, 0.9], ("cfg:begin=0,end=1,weight=1", "cfg:begin=1e-05,end=0.9,weight=2.5")),
        ([0.0, 500], [0, 1], ("cfg:begin=0,end=1,weight=0", "cfg:begin=0,end=1,weight=500")),
    ],
)
def test_weights_and_their_interval_are_specs(guidances, interval, today):
    written = of_intervals(guidances, interval)
    before = copy.deepcopy(written)
    read = read_settings(written)
    assert read.eval.guidances == today
    assert tuple(map(str, read.eval.guidance_specs)) == today
    assert (
        replace(read.eval, guidances=("cfg:begin=0,end=1,weight=1",))
        == read_settings(to_json(PRESETS["smoke"])).eval
    )
    assert written == before, "the record itself stays"


@pytest.mark.parametrize("name", PRESETS)
def test_settings_of_today_stay_as_they_are(name):
    for written in (to_json(PRESETS[name]), to_json(study(name))):
        assert upgraded(written) == written


def test_twice_is_once():
    once = upgraded(of_intervals([1.0, 3.0], [0.2, 0.9]))
    assert upgraded(once) == once
    assert "guidance_interval" not in once["eval"]


def test_a_study_s_settings_are_read_too():
    written = to_json(study("smoke"))
    written["eval"] |= {"guidances": [3.0], "guidance_interval": [0.0, 1.0]}
    assert upgraded(written)["eval"]["guidances"] == ["cfg:begin=0,end=1,weight=3"]


@pytest.mark.parametrize(
    "damage",
    [
        {"eval": 3},
        {"eval": None},
        {"eval": {"guidances": ["x"]}},
        {"eval": {"guidance_interval": 1, "n": []}},
        {"train": {"ema_decay": None}},
        {"train": {"ema_decay": "x"}},
        {"train": {"ema_decay": [0.9]}},
        {"train": {"ema_decay": 10**400}},
    ],
)
def test_what_is_damaged_is_refused_and_not_mended(damage):
    with pytest.raises(UserError):
        read_settings({**to_json(PRESETS["smoke"]), **damage})


@pytest.mark.parametrize(
    ("value", "today"),
    [(0.9, ("warmup:decay=0.9",)), ("0.999", "warmup:decay=0.999"), (1, ("warmup:decay=1",))],
)
def test_a_decay_is_an_average(value, today):
    assert upgraded_override("train.ema-decay", value) == ("train.averages", today)
    assert upgraded_override("train.ema_decay", value) == ("train.averages", today)


@pytest.mark.parametrize("decay", ["0.9", "x", None])
def test_no_average_is_in_an_identity_whatever_it_says(decay):
    assert upgraded_identity({"train.ema_decay": decay, "train.averages": "x", "seed": "0"}) == {"seed": "0"}
