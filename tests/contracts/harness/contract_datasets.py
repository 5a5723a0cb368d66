"""What holds of every data set, of those whose pictures are here: what Images promises.

An item is tried by its name alone and, where it needs something after it, with a folder of small pictures.
"""

import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from painting import no_network, paint_classes

from experiments.config.registries import DATASETS
from experiments.config.run import DataConfig
from experiments.datasets import Images, load
from rope_dit.errors import UserError

NOWHERE = Path(tempfile.gettempdir()) / "nothing is here"
UNUSED: dict[str, tuple[object, Callable[[Images], object]]] = {
    "image_size": (5, lambda images: images.train.shape[2:]),
    "held_out": (0.4, lambda images: len(images.held_out)),
}
"""settings that not every data set uses: another value, and what it must change where one does"""


@cache
def painted() -> Path:
    """A folder of pictures of two classes."""
    folder = Path(tempfile.mkdtemp()) / "pictures"
    paint_classes(folder, {"cat": 10, "dog": 20})
    return folder


def loads_or_says(config: DataConfig) -> Images | UserError:
    """What a data set gives where nobody answers: pictures, or why there are none."""
    with no_network():
        try:
            return load(config)
        except UserError as error:
            return error


def tried(name: str) -> tuple[DataConfig, Images]:
    """A data set whose pictures are here, and the settings that give it."""
    config = DataConfig(name=name, root=NOWHERE)
    with_folder = replace(config, name=f"{name}:{painted()}")
    for one in (config, with_folder):
        if isinstance(found := loads_or_says(one), Images):
            return one, found
    pytest.skip("its pictures are not here")


def without_pictures_it_says_what_to_do(spec: str) -> None:
    """One short line that names something that can be had; or it needs no download."""
    assert DATASETS[spec].summary
    found = loads_or_says(DataConfig(name=spec, root=NOWHERE))
    if isinstance(found, UserError):
        assert re.search(r":PATH|--data", str(found))
        assert len(str(found)) <= 200
        assert all(line.isprintable() for line in (str(found), *found.details))
    else:
        assert found.name == spec


def it_is_images_that_fit_their_labels(spec: str) -> None:
    """Both parts, and every class has pictures."""
    _, images = tried(spec)
    for pixels, labels in ((images.train, images.train_labels), (images.held_out, images.held_out_labels)):
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 4
        assert labels.dtype == np.int64
        assert labels.shape == (len(pixels),)
        assert 0 <= labels.min() <= labels.max() < len(images.classes)
    assert images.train.shape[1] in (1, 3)
    assert set(images.train_labels.tolist()) == set(range(len(images.classes))), "classes without pictures"


def two_loads_are_equal(spec: str) -> None:
    config, images = tried(spec)
    again = load(config)
    for part in ("train", "train_labels", "held_out", "held_out_labels"):
        assert np.array_equal(getattr(images, part), getattr(again, part)), part
    assert images.classes == again.classes
    assert images.fingerprint == again.fingerprint
    assert images.fingerprint == replace(images).fingerprint, "it depends on more than the pictures"


def the_parts_do_not_overlap(spec: str) -> None:
    """Up to a few pictures that are there twice, as in most collections."""
    _, images = tried(spec)
    assert not np.shares_memory(images.train, images.held_out)
    train = {picture.tobytes() for picture in images.train}
    twice = sum(picture.tobytes() in train for picture in images.held_out)
    assert twice <= 0.01 * len(images.held_out), f"{twice} held-out pictures are trained on"


def a_setting_changes_something_or_is_refused(spec: str) -> None:
    config, images = tried(spec)
    for name, (value, seen) in UNUSED.items():
        other = loads_or_says(replace(config, **{name: value}))  # type: ignore[arg-type]
        if isinstance(other, UserError):
            assert name.replace("_", "-") in str(other)
        else:
            assert seen(other) != seen(images), f"data.{name} does nothing"


def an_argument_is_used_or_refused(spec: str) -> None:
    config, images = tried(spec)
    with pytest.raises(UserError, match=f"'{spec}:'"):
        load(replace(config, name=f"{spec}:"))
    other = loads_or_says(replace(config, name=f"{spec}:no such thing"))
    ignored = isinstance(other, Images) and other.fingerprint == images.fingerprint
    assert not ignored, "what stands behind its name does nothing"


CHECKS = [
    without_pictures_it_says_what_to_do,
    it_is_images_that_fit_their_labels,
    two_loads_are_equal,
    the_parts_do_not_overlap,
    a_setting_changes_something_or_is_refused,
    an_argument_is_used_or_refused,
]
