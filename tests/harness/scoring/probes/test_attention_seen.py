"""Attention that is known: alike to all, to one neighbour alone, and that of the network itself."""

import math

import pytest
import torch
from subjects import subject

from experiments.scoring.probes import probe
from experiments.scoring.probes.attention_base import Seen, queries, seen
from experiments.scoring.probes.base import Subject

H, W = 4, 6
PLACES = torch.tensor([(row, column) for row in range(H) for column in range(W)]).double()


def alike(variant: str, **settings: object) -> Subject:
    """A network whose queries and keys are all 0."""
    made = subject(variant, shape=(2, 2 * H, 2 * W), **settings)
    with torch.no_grad():
        for block in made.model.blocks:
            block.attention.qkv.weight[: 2 * 16] = 0
            block.attention.qkv.bias[: 2 * 16] = 0
    return made


@pytest.mark.parametrize("settings", [{}, {"registers": 3}, {"qk_norm": True}])
@pytest.mark.parametrize("variant", ["none", "learned+rope2d"])
def test_queries_and_keys_of_0_look_at_all_alike(variant, settings):
    between = (PLACES[:, None] - PLACES).norm(dim=-1)
    made = alike(variant, **settings)
    found = probe("attention", made)
    assert found["attention_entropy"] == pytest.approx(math.log(H * W), rel=1e-5)
    assert found["attention_distance"] == pytest.approx(between.mean().item(), rel=1e-5)
    looked = seen(made)
    assert looked.heads()["share"].tolist() == pytest.approx([1] * 4, rel=1e-5)
    assert looked.maps()["share"].tolist() == pytest.approx([1 / (H * W)] * (2 * 2 * 3 * H * W), rel=1e-4)


def looking_right(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """In the first head of the second layer each token looks at the next, the last in a row at the first."""
    made = alike("none")
    row, column = PLACES.long().unbind(1)
    right = row * W + (column + 1) % W

    def bias(site, q, k):
        found = torch.zeros(1, 2, H * W, H * W)
        found[0, 0, torch.arange(H * W), right] = 1e4 * site.layer
        return found

    monkeypatch.setattr(made.model.pos_embed, "bias", bias)
    return seen(made)


def test_who_looks_at_one_neighbour_has_its_distance_and_no_entropy(monkeypatch):
    looked = looking_right(monkeypatch)
    heads = looked.heads().set_index(["layer", "head"])
    assert heads.loc[(1, 0)].tolist() == pytest.approx([((W - 1) + (W - 1)) / W, 0, 0])
    assert heads.loc[(1, 1), "entropy"] == pytest.approx(math.log(H * W), rel=1e-5)
    assert heads.loc[(0, 0)].tolist() == pytest.approx(heads.loc[(0, 1)].tolist())


def test_maps_are_those_of_the_three_tokens(monkeypatch):
    frame = looking_right(monkeypatch).maps()
    assert frame.columns.tolist() == ["layer", "head", "query", "row", "column", "share"]
    there = frame[(frame["layer"] == 1) & (frame["head"] == 0) & (frame["share"] > 0.5)]
    assert there[["query", "row", "column"]].to_numpy().tolist() == [
        ["centre", 2, 4], ["corner", 0, 1], ["edge", 0, 4]
    ]  # fmt: skip
    assert list(queries((H, W))) == frame["query"].unique().tolist()
    sums = frame.groupby(["layer", "head", "query"])["share"].sum()
    assert sums.tolist() == pytest.approx([1] * 12)


def test_a_bounded_number_of_weights_is_held_at_a_time(monkeypatch):
    made = subject()
    want = probe("attention", made)
    monkeypatch.setattr("experiments.scoring.probes.attention_base.WEIGHTS", 1)
    assert probe("attention", made) == pytest.approx(want, rel=1e-6)
