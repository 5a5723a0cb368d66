"""Contracts hold for plug-ins too, and find what breaks them: a file is changed and its check fails."""

import contract_datasets
import contract_metrics
import pytest
from commands import forget_plugins

from rope_dit.errors import UserError
from rope_dit.registry import add_plugins

STRIPES = '''
import numpy as np
from experiments.config.registries import DATASETS
from experiments.datasets.base import Images, refuse_argument, refuse_unused


@DATASETS.register("stripes")
def stripes(argument, config):
    """Rows or columns, with noise."""
    refuse_argument(argument, config)
    refuse_unused(config, "image_size", "held_out")
    pixels = np.random.Generator(np.random.PCG64(0)).integers(0, 99, (200, 1, 8, 8), np.uint8)
    labels = np.arange(200) % 2
    pixels[labels == 0, :, ::2], pixels[labels == 1, :, :, ::2] = 255, 255
    return Images(train=pixels[40:], train_labels=labels[40:], held_out=pixels[:40],
                  held_out_labels=labels[:40], classes=("rows", "columns"), name="stripes")
'''
SHARPNESS = '''
from experiments.config.registries import METRICS


@METRICS.register("sharpness")
class Sharpness:
    """How sure the network is of its classes, and how far the means are apart."""

    values = {"sharpness": "higher", "apart": "lower"}
    min_images = 2

    def measure(self, generated, real):
        apart = (generated.pool.double().mean(0) - real.pool.double().mean(0)).norm()
        return {"sharpness": float(generated.logits.double().mean()), "apart": float(apart)}
'''


@pytest.fixture
def plugin(tmp_path):
    """A function that writes a file of a plug-in, changed, and adds its folder."""

    def add(text: str, change: str = "", to: str = "") -> None:
        assert change in text
        (tmp_path / "mine.py").write_text(text.replace(change, to) if change else text)
        add_plugins(tmp_path)

    yield add
    forget_plugins()


def test_a_data_set_of_ones_own_keeps_its_contract(plugin):
    plugin(STRIPES)
    for check in contract_datasets.CHECKS:
        check("stripes")


@pytest.mark.parametrize(
    ("change", "to", "check"),
    [
        ("PCG64(0)", "PCG64(__import__('time').time_ns())", "two_loads_are_equal"),
        ("pixels[:40]", "pixels[-40:]", "the_parts_do_not_overlap"),
        ("pixels[:40]", "pixels[40:80].copy()", "the_parts_do_not_overlap"),
        ('"columns")', '"columns", "none")', "it_is_images_that_fit_their_labels"),
        ("    refuse_unused", "    #", "a_setting_changes_something_or_is_refused"),
        ("    refuse_argument", "    #", "an_argument_is_used_or_refused"),
        ('name="stripes"', 'name="other"', "without_pictures_it_says_what_to_do"),
        ('"""Rows or columns, with noise."""', "", "without_pictures_it_says_what_to_do"),
    ],
)
def test_what_breaks_a_data_set_is_found(plugin, change, to, check):
    plugin(STRIPES, change, to)
    with pytest.raises(AssertionError):
        getattr(contract_datasets, check)("stripes")


def test_labels_out_of_range_are_refused(plugin):
    plugin(STRIPES, "np.arange(200) % 2", "np.arange(200) % 3")
    found = contract_datasets.loads_or_says(contract_datasets.DataConfig(name="stripes"))
    assert isinstance(found, UserError)


def test_a_metric_of_ones_own_keeps_its_contract(plugin):
    plugin(SHARPNESS)
    for check in contract_metrics.CHECKS:
        check("sharpness")


@pytest.mark.parametrize(
    ("change", "to", "check"),
    [
        ('"higher"', '"lower"', "better_is_the_direction_it_claims"),
        ('"higher"', '"more"', "it_returns_what_it_claims"),
        (', "apart": float(apart)', "", "it_returns_what_it_claims"),
        ("float(apart)", "apart", "it_returns_what_it_claims"),
        ("float(apart)", "float(apart / 0)", "it_returns_what_it_claims"),
        ('"apart"', '"fd"', "its_values_are_no_other_metrics"),
        ("min_images = 2", "min_images = 0", "the_fewest_pictures_are_enough"),
        ("generated.logits.double().mean()", "generated.logits[0].argmax()", "order_does_not_matter"),
        ("double().mean(0) -", "add_(1).mean(0) -", "the_same_again_and_the_features_as_they_were"),
    ],
)
def test_what_breaks_a_metric_is_found(plugin, change, to, check):
    plugin(SHARPNESS, change, to)
    with pytest.raises(AssertionError):
        getattr(contract_metrics, check)("sharpness")
