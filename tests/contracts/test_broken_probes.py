"""The contract of probes holds for plug-ins too: a file is changed, and the check that finds it fails."""

import contract_probes
import pytest
from commands import forget_plugins

from rope_dit.errors import UserError
from rope_dit.registry import add_plugins

SPEED = '''
import torch
from experiments.config.registries import PROBES


@PROBES.register("speed")
class Speed:
    """Mean square of the velocity at t = 1/2."""

    values = {"speed": "lower"}
    ranges = {"speed": (0, None)}
    default_on = True
    cost = "one evaluation for each of up to 100 held-out pictures"

    @torch.inference_mode()
    def measure(self, subject):
        found = []
        for batch in subject.batches(100, "speed"):
            t = torch.full_like(batch.index_B, 0.5, dtype=torch.float32)
            x, _ = batch.noised(t, place=0)
            found.append(subject.velocity(x, t, batch.labels_B).square().flatten(1).mean(1).double())
        return {"speed": torch.cat(found).mean().item()}
'''


@pytest.fixture
def plugin(tmp_path):
    """A function that writes the probe, changed, and adds its folder."""

    def add(change: str = "", to: str = "") -> None:
        assert change in SPEED
        (tmp_path / "mine.py").write_text(SPEED.replace(change, to) if change else SPEED)
        add_plugins(tmp_path)

    yield add
    forget_plugins()


def test_a_probe_of_ones_own_keeps_its_contract(plugin):
    plugin()
    for check in contract_probes.CHECKS:
        check("speed")


@pytest.mark.parametrize(
    ("change", "to", "check"),
    [
        ('"lower"', '"less"', "it_returns_what_it_claims"),
        ("(0, None)", "(None, 0)", "it_returns_what_it_claims"),
        ("default_on = True", "default_on = 1", "it_says_whether_it_is_on_and_what_it_costs"),
        ("    cost =", "    price =", "it_says_whether_it_is_on_and_what_it_costs"),
        ('"speed"', '"fd"', "its_values_are_nothing_elses"),
        ("batch.noised(t, place=0)", "torch.rand_like(batch.x1_BCHW), 0",
         "it_depends_on_no_batch_size_and_on_no_call_before"),
        ("mean(1).double()", "mean()[None]", "it_depends_on_no_batch_size_and_on_no_call_before"),
        ("found = []", "found = []; torch.rand(1)", "it_leaves_the_network_and_the_generators_as_they_were"),
        ("found = []", "found = []; subject.model.train()",
         "it_leaves_the_network_and_the_generators_as_they_were"),
        ("found = []", "found = []; subject.model.final.register_forward_hook(lambda *_: None)",
         "it_leaves_the_network_and_the_generators_as_they_were"),
        ("found = []", "found = []; subject.model.final.register_forward_hook(lambda *_: None)",
         "it_stops_when_asked_and_leaves_no_hook"),
        ("subject.velocity(x, t, batch.labels_B)", "x", "it_tells_networks_apart"),
    ],
)  # fmt: skip
def test_what_breaks_it_is_found(plugin, change, to, check):
    plugin(change, to)
    with pytest.raises(AssertionError):
        getattr(contract_probes, check)("fd" if to == '"fd"' else "speed")


@pytest.mark.parametrize(
    ("change", "to", "says"),
    [
        ('return {"speed"', 'return {"pace"', "returned pace; expected some of speed"),
        ("mean().item()", "mean()", "expected a float"),
        ("mean().item()}", "mean().item() / 1e-400}", "ZeroDivisionError"),
        ("mean().item()}", 'mean().item() * float("nan")}', "speed of the network is nan"),
        ("return {", "return {} and {", "returned nothing"),
    ],
)
def test_what_it_returns_is_looked_at(plugin, change, to, says):
    plugin(change, to)
    with pytest.raises(UserError, match=says) as caught:
        contract_probes.it_tells_networks_apart("speed")
    assert "mine.py" in str(caught.value)


def test_one_that_nothing_stops_is_found(plugin):
    plugin("subject.velocity(", "subject.model(")
    with pytest.raises(pytest.fail.Exception):
        contract_probes.it_stops_when_asked_and_leaves_no_hook("speed")
