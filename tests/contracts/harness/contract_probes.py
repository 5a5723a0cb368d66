"""What holds of every probe and of all networks: its values are claimed, finite and the same again."""

import math

import pytest
import torch
from subjects import subject

from experiments.config.registries import METRICS, PICTURE_METRICS, PROBES
from experiments.scoring import probes
from experiments.scoring.probes.base import Subject
from rope_dit.errors import Stopped
from rope_dit.registry import POS_EMBEDS, Part

COMPOSED = ("learned+rope2d", "learned+rope2d+alibi2d")


QUICK = {"bits_per_dim": "bits_per_dim:steps=2,draws=2"}
"""what is asked of those that take long, where more would show no more"""


def probe(spec: str, made: Subject) -> dict[str, float]:
    return probes.probe(QUICK.get(spec, spec), made)


def claims(spec: str) -> dict[str, object]:
    return dict(PROBES[Part.parse(spec).name].claims)


def it_returns_what_it_claims(spec: str) -> None:
    """All of it, where the grid has an inside."""
    got, said = probe(spec, subject()), claims(spec)
    assert got.keys() == said["values"].keys()
    assert set(said["values"].values()) <= {"lower", "higher"}
    assert said.get("ranges", {}).keys() <= got.keys()
    for value, (low, high) in said.get("ranges", {}).items():
        assert low is None or low <= got[value], value
        assert high is None or got[value] <= high, value


def it_says_whether_it_is_on_and_what_it_costs(spec: str) -> None:
    assert type(claims(spec).get("default_on")) is bool
    assert isinstance(claims(spec).get("cost"), str)


def its_values_are_nothing_elses(spec: str) -> None:
    name, values = Part.parse(spec).name, claims(spec)["values"]
    others = {value for entry in PROBES if entry.name != name for value in entry.claims["values"]}
    others |= {value for entry in (*METRICS, *PICTURE_METRICS) for value in entry.claims["values"]}
    assert not others & values.keys()
    assert all(value.replace("_", "a").isalnum() for value in values), "scores are named after it"


def it_looks_at_every_variant(spec: str) -> None:
    for variant in (*POS_EMBEDS.names(), *COMPOSED):
        positions = "normalized:by=max" if variant in NORMALIZED else "index"
        made = subject(variant, n=3, positions=positions)
        assert all(map(math.isfinite, probe(spec, made).values())), variant


NORMALIZED = ("pape",)
"""variants that refuse indices"""


def it_looks_at_networks_of_every_make(spec: str) -> None:
    """Without classes, with registers, untrained, of another objective, one row of tokens, one picture."""
    for made in (
        subject(conditional=False),
        subject(registers=2, qk_norm=True),
        subject(weights=0),
        subject(objective="x"),
        subject(shape=(1, 2, 8)),
        subject(n=1),
    ):
        got = probe(spec, made)
        assert got
        assert got.keys() <= claims(spec)["values"].keys()


def it_depends_on_no_batch_size_and_on_no_call_before(spec: str) -> None:
    want = probe(spec, made := subject())
    assert probe(spec, made) == want == probe(spec, subject())
    assert probe(spec, subject(chunk=3)) == pytest.approx(want, rel=1e-5, abs=1e-6)


def it_leaves_the_network_and_the_generators_as_they_were(spec: str) -> None:
    made = subject()
    before = {name: p.clone() for name, p in made.model.state_dict().items()}
    pixels, state = made.pixels.clone(), torch.get_rng_state()
    probe(spec, made)
    assert not any(module.training for module in made.model.modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in made.model.modules())
    assert all(torch.equal(p, before[name]) for name, p in made.model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in made.model.parameters())
    assert torch.equal(made.pixels, pixels)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def it_stops_when_asked_and_leaves_no_hook(spec: str) -> None:
    calls = iter([False, True])
    made = subject()
    stopped = Subject(made.model, made.objective, made.config, made.pixels, made.labels, lambda: next(calls))
    with pytest.raises(Stopped):
        probe(spec, stopped)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in made.model.modules())


def it_tells_networks_apart(spec: str) -> None:
    assert probe(spec, subject()) != probe(spec, subject(weights=0.1))


CHECKS = [
    it_returns_what_it_claims,
    it_says_whether_it_is_on_and_what_it_costs,
    its_values_are_nothing_elses,
    it_looks_at_every_variant,
    it_looks_at_networks_of_every_make,
    it_depends_on_no_batch_size_and_on_no_call_before,
    it_leaves_the_network_and_the_generators_as_they_were,
    it_stops_when_asked_and_leaves_no_hook,
    it_tells_networks_apart,
]
