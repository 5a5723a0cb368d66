"""What is measured on pixels, held to pictures that are right by construction, torn or of other classes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from contract_picture_metrics import torn
from extractors import scenes_for
from torch import Tensor

from experiments.config.endpoint import EndpointConfig
from experiments.config.presets import PRESETS
from experiments.config.run import DataConfig
from experiments.coordinator.endpoint import endpoint_of
from experiments.datasets import load
from experiments.datasets.layout_scenes import CELL, RELATIONS
from experiments.scoring.floors import Floor
from experiments.scoring.generate import Generator
from experiments.scoring.on_pixels import OnPixels
from experiments.scoring.picture_metrics import measure_pictures
from experiments.scoring.picture_metrics.base import Pictures
from experiments.scoring.picture_metrics.layout import detect
from rope_dit.model import DiT


@pytest.fixture(name="held_out", scope="module")
def held_out_fixture() -> Pictures:
    """A part of the pictures of layout that are held out."""
    images = load(DataConfig(name="layout"))
    return Pictures(torch.from_numpy(images.held_out), torch.from_numpy(images.held_out_labels), CELL).first(
        1000
    )


def accuracy(pictures: Pictures, pixels: Tensor | None = None, labels: Tensor | None = None) -> float:
    some = Pictures(
        pictures.pixels if pixels is None else pixels, pictures.labels if labels is None else labels, CELL
    )
    return measure_pictures(some, pictures, "layout")["layout_accuracy"]


def test_real_scenes_are_right_and_show_one_relation_each():
    images = load(DataConfig(name="layout"))
    found, holds = detect(torch.from_numpy(images.held_out))
    assert found.mean() >= 0.995
    assert holds[np.arange(4000), images.held_out_labels].mean() >= 0.995
    assert (holds.sum(1) == 1).mean() >= 0.995
    assert len(RELATIONS) == 10


def test_no_other_class_is_right(held_out):
    _, holds = detect(held_out.pixels)
    for shift in range(1, 10):
        assert holds[np.arange(len(holds)), (held_out.labels + shift) % 10].mean() <= 0.005


def test_one_that_ignores_the_class_is_right_in_a_tenth(held_out):
    mixed = held_out.labels[torch.randperm(len(held_out), generator=torch.Generator().manual_seed(0))]
    assert accuracy(held_out, labels=mixed) == pytest.approx(0.1, abs=0.02)


def test_nothing_is_found_in_half_noise_and_in_torn_pictures(held_out):
    noise = torch.randint(256, held_out.pixels.shape, generator=torch.Generator().manual_seed(0))
    half = (held_out.pixels.float() / 2 + noise / 2).to(torch.uint8)
    for pixels in (half, noise.to(torch.uint8), torn(held_out).pixels):
        assert detect(pixels)[0].mean() <= 0.005


def test_a_little_noise_and_another_place_on_a_larger_canvas_change_nothing(held_out):
    shaken = held_out.pixels + torch.randint(
        20, held_out.pixels.shape, generator=torch.Generator().manual_seed(0)
    )
    assert accuracy(held_out, shaken.clamp(max=255).to(torch.uint8)) >= 0.995
    canvas = torch.full((len(held_out), 3, 27, 24), 90, dtype=torch.uint8)
    canvas[:, :, 5:21, 3:19] = held_out.pixels
    assert accuracy(held_out, canvas) >= 0.995


def test_an_object_that_lacks_a_half_is_not_whole(held_out):
    """The right half of all that is red is painted over."""
    red = (held_out.pixels[:, 0] > 200) & (held_out.pixels[:, 1] < 100)
    there = red.any((1, 2)).numpy()
    columns = torch.arange(16).expand_as(red)
    middle = (columns * red).sum((1, 2)) / red.sum((1, 2)).clamp(min=1)
    cut = held_out.pixels.clone()
    cut.permute(0, 2, 3, 1)[red & (columns > middle[:, None, None])] = 90
    assert detect(cut)[0][there].mean() < 0.35  # of those that a dot hides little is cut


def test_two_dots_or_blocks_are_not_found(held_out):
    """What is drawn twice is no scene, nor is one without its dot."""
    white = (held_out.pixels > 200).all(1)
    without = torch.where(white[:, None], 90, held_out.pixels)
    assert detect(without)[0].mean() == 0
    twice = torch.maximum(held_out.pixels, held_out.pixels.roll((6, 6), (2, 3)))
    assert detect(twice)[0].mean() < 0.35  # of some the second lies beyond the border or on the first


def test_classes_know_nothing_but_where_the_dot_is():
    """Hue, levels and ground are alike in all classes: no mean differs by more than chance has it."""
    images = load(DataConfig(name="layout"))
    strongest = images.train.max((2, 3)).astype(float)
    hue = [(images.train[:, c] < 60).sum((1, 2)) > 0 for c in range(3)]
    ground = images.train.max(1).min((1, 2)).astype(float)
    for fact in (*strongest.T, *hue, ground):
        overall, spread = fact.mean(), fact.std() / np.sqrt(2000)
        means = [
            fact[images.train_labels == k].mean() for k in range(8)
        ]  # a dot may hide a part of the block
        assert max(abs(mean - overall) for mean in means) < 6 * spread


def test_seam_is_zero_for_real_pictures_and_above_for_torn_ones():
    real = scenes_for("digits", range(400))
    assert measure_pictures(real, real, "digits") == {"seam": 0.0}
    assert measure_pictures(torn(real), real, "digits")["seam"] > 0.1


def test_both_ends_are_measured_at_the_size_that_is_scored():
    images = load(DataConfig(name="digits"))
    scale = OnPixels(images, "digits", 2)
    assert scale.floors(10**6) == {"seam": Floor(0.0, 360)}  # all that are held out
    assert scale.floors(50)["seam"].value == pytest.approx(0, abs=0.05)
    assert scale.floors(50)["seam"].value != scale.floors(51)["seam"].value
    assert scale.floors(50)["seam"].n == 50
    assert scale.untrained["seam"] < 0  # noise has no seams, digits have


def test_a_study_may_be_decided_on_pixels():
    base = replace(PRESETS["smoke"], data=DataConfig(name="layout"))
    end = endpoint_of(base, "layout", EndpointConfig(metric="layout_accuracy"), 1)
    assert (end.metric, end.extractor, end.better) == ("layout_accuracy", "-", "higher")
    assert end.classes == "proportional"


@pytest.mark.parametrize("seed", [0, 1, 7000, 2**40 + 3])
def test_any_first_pictures_have_each_class_in_its_share(seed):
    labels = np.repeat(np.arange(10), np.arange(100, 200, 10))
    config = PRESETS["smoke"]
    model = DiT(config.model, "none", channels=1, image_size=(8, 8), num_classes=10, null_class=True)
    drawn = Generator(model, config, labels, (1, 8, 8), lambda: False).labels(range(5000), seed)
    share = np.bincount(labels) / len(labels)
    for n in (1, 10, 37, 250, 1000, 5000):
        assert (abs(np.bincount(drawn[:n], minlength=10) - n * share) <= 5).all()
    again = Generator(model, config, labels, (1, 8, 8), lambda: False).labels(range(250, 500), seed)
    assert torch.equal(again, drawn[250:500])


def test_independent_draws_are_as_they_were():
    labels = np.repeat(np.arange(10), 100)
    config = replace(PRESETS["smoke"], eval=replace(PRESETS["smoke"].eval, classes="data"))
    model = DiT(config.model, "none", channels=1, image_size=(8, 8), num_classes=10, null_class=True)
    drawn = Generator(model, config, labels, (1, 8, 8), lambda: False).labels(range(1000), 0)
    assert np.bincount(drawn, minlength=10).std() > 5
