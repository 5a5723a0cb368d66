"""The host's work in a training step is counted, so that it cannot creep in again. Nothing here is timed."""

from dataclasses import replace

import pytest

from experiments.benchmark.dispatched import NARROW, dispatched, dispatched_per_step
from experiments.benchmark.workloads import made_up
from experiments.config.presets import preset
from experiments.runner.execute import make_batches
from rope_dit.trainer import Training

MOST = 80
SHAPES = {"digits": (1, 8, 8), "cifar10": (3, 32, 32)}


def resolved(name, folder, **settings):
    config = preset(name)
    train = replace(config.train, precision="fp32", compile="off", threads=1, **settings)
    return made_up(replace(config, train=train, device="cpu"), SHAPES[name], folder)


@pytest.mark.parametrize("name", ["digits", pytest.param("cifar10", marks=pytest.mark.slow)])
def test_a_step_dispatches_few_operations_outside_loss_and_backward(name, tmp_path):
    """The network is a narrow one: outside loss and backward, neither width nor depth changes the count."""
    assert dispatched_per_step(resolved(name, tmp_path)) <= MOST


@pytest.mark.parametrize("other", [{"dim": 32}, {"depth": 3}, {"mlp": "swiglu"}])
def test_neither_width_nor_depth_changes_the_count(tmp_path, other):
    def count(**sizes):
        run = resolved("digits", tmp_path, batch=4)
        run = replace(run, config=replace(run.config, model=replace(run.config.model, **NARROW | sizes)))
        training = Training.fresh(run.build_model(), run.config.train)
        return dispatched(training, make_batches(run), steps=5)

    assert count(**other) == count()


def test_what_a_step_does_on_top_is_counted(tmp_path):
    """One operation more in each batch is one more a step; one in the network is none."""
    run = resolved("digits", tmp_path, batch=4)
    batches = make_batches(run)

    def count(batch, network=lambda x: x):
        model = replace(
            run, config=replace(run.config, model=replace(run.config.model, **NARROW))
        ).build_model()
        model.time.register_forward_hook(lambda module, args, out: network(out))
        return dispatched(Training.fresh(model, run.config.train), batch, steps=5).total()

    def more(step):
        images, labels = batches(step)
        return images * 1, labels

    assert count(more) == count(batches) + 5
    assert count(batches, lambda out: out * 1) == count(batches)
