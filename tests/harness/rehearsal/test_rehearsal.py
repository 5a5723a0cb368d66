"""Training on a GPU, rehearsed without one: all on one device, and the host reads nothing from it."""

from dataclasses import replace

import pytest
import torch
from rehearsal import CUDA, HostWaits, cases, moved, positions_for, rehearsal, zero_gradients
from tiny import CONFIG

from rope_dit.config import ModelConfig, TrainConfig, spec_fields
from rope_dit.couplings.base import Coupling
from rope_dit.model import DiT
from rope_dit.registry import COUPLINGS, POS_EMBEDS
from rope_dit.trainer import CHECKED_EACH_STEP, Training, train

STEPS = 5
SHAPE = (6, 1, 4, 6)


def dit(variant="learned+rope2d", **settings):
    config = ModelConfig(dim=16, depth=1, num_heads=2, mlp_ratio=2, **settings)
    return DiT(config, variant, channels=1, image_size=(4, 6), num_classes=2, null_class=True)


def batch(step):
    return torch.empty(SHAPE, device=CUDA), torch.zeros(SHAPE[0], dtype=torch.int64, device=CUDA)


def rehearse(config=CONFIG, network=None, given=batch, change=lambda model: None):
    """Steps of a real training; returns what was copied between host and device in all but the first."""
    network = network or dit()
    with rehearsal() as watch:
        change(moved(network))
        training = Training.fresh(network, config)
        with zero_gradients(network):
            for step in train(training, given, seed=0, until=STEPS):
                if step.number == 1:  # tables may be made and kept
                    watch.copies.clear()
        devices = {str(tensor.device) for tensor in training.tensors().values()}
        assert devices == {str(CUDA)}
    return watch.copies


def specs():
    """Settings with each value that they can have, by registry."""
    for field, registry in spec_fields(TrainConfig).items():
        for spec in (spec for entry in registry for spec in entry.specs()):
            yield field, spec


def alone_on_the_device(field, spec):
    """Couplings that pair anything do so on the CPU, by contract, for some steps at a time."""
    return field != "coupling" or type(COUPLINGS.bind(spec)()).pair is Coupling.pair


@pytest.mark.parametrize("variant", cases(spec for entry in POS_EMBEDS for spec in entry.specs()))
def test_every_variant(variant):
    assert rehearse(network=dit(variant, positions=positions_for(variant))) == []


def settings_to_try():
    """The plainest of a kind is in every other test."""
    for field, spec in specs():
        quick = spec in ("x", "ot", "muon", "power")
        yield pytest.param(field, spec, marks=() if quick else pytest.mark.slow)


@pytest.mark.parametrize(("field", "spec"), list(settings_to_try()))
def test_every_setting(field, spec):
    if not alone_on_the_device(field, spec):
        pytest.skip("pairs on the CPU")
    value = (spec,) if field == "averages" else spec
    assert rehearse(replace(CONFIG, **{field: value})) == []


@pytest.mark.parametrize("settings", [{"mlp": "swiglu"}, {"norm": "rmsnorm"}, {"qk_norm": True},
                                      {"adaln": "shared"}, {"conditional": False}], ids=str)  # fmt: skip
def test_every_network(settings):
    assert rehearse(network=dit(**settings)) == []


def test_blocks_that_begin_in_later_steps(monkeypatch):
    monkeypatch.setattr("rope_dit.draws.MOST_STEPS", 2)
    assert rehearse() == []


def test_a_number_that_the_host_reads_is_found():
    def reads(model):
        model.time.register_forward_hook(lambda module, args, out: out * out.sum().item())

    with pytest.raises(HostWaits):
        rehearse(change=reads)


def test_reading_losses_each_step_is_found(monkeypatch):
    monkeypatch.setattr("rope_dit.trainer.CHECKED_EACH_STEP", CHECKED_EACH_STEP | {"cuda"})
    with pytest.raises(HostWaits):
        rehearse()


def test_a_table_that_stays_on_the_cpu_is_found():
    def adds(model):
        table = torch.ones(16)
        model.time.register_forward_hook(lambda module, args, out: out + table)

    with pytest.raises(RuntimeError, match="device"):
        rehearse(change=adds)


def test_what_is_copied_in_each_step_is_found():
    def copies(step):
        images, labels = batch(step)
        return images + torch.zeros(6).to(CUDA), labels

    assert rehearse(given=copies) == ["cpu to cuda: (6,)"] * (STEPS - 1)
