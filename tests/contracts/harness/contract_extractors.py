"""What holds of every extractor: the same finite features of the same pictures, known by name and weights.

An item is tried by its name alone and, where it needs something after it, with the file of a tiny extractor.
"""

import re
import tempfile
from functools import cache
from pathlib import Path

import pytest
import torch
from painting import no_network
from torch import Tensor

from experiments.config.extractor import ExtractorConfig
from experiments.config.registries import EXTRACTORS
from experiments.config.run import DataConfig
from experiments.datasets import load
from experiments.scoring.extractors.base import Extractor, Features
from experiments.scoring.extractors.load import load_extractor
from experiments.scoring.extractors.training import train, write
from experiments.scoring.metrics import value_name
from rope_dit.errors import UserError

CLOSE = {"rtol": 1e-4, "atol": 1e-4}
"""float32 sums whose order depends on how many pictures there are"""


@cache
def tiny_file() -> Path:
    """A classifier of digits that has hardly been trained."""
    config = ExtractorConfig(out=Path(tempfile.mkdtemp()) / "tiny.safetensors", epochs=1, width=4, batch=200)
    images = load(DataConfig())
    write(config, images, train(config, images, torch.device("cpu"), lambda: False))
    return config.out


def loaded(name: str) -> Extractor:
    """An extractor, with weights that are here."""
    with no_network():
        try:
            return load_extractor(name, "cpu")
        except UserError as error:
            reason = str(error)
        try:
            return load_extractor(f"{name}:{tiny_file()}", "cpu")
        except UserError:
            pytest.skip(f"its weights are not here: {reason}")


@cache
def tried(name: str, plugin: str) -> tuple[Extractor, Tensor, Features]:
    """An extractor, pictures that fit, and their features; `plugin` tells files of one name apart."""
    made = loaded(name)
    height, width = made.size or (32, 32)
    shape = (2 * min(made.batch, 3) + 1, max(made.channels), height, width)
    drawn = torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return made, drawn, made(drawn)


def of(spec: str) -> tuple[Extractor, Tensor, Features]:
    return tried(spec, EXTRACTORS[spec].tree_sha256)


def features_are_float32_finite_and_as_wide_as_declared(spec: str) -> None:
    made, pictures, features = of(spec)
    for part in (features.pool, features.logits):
        assert (part.dtype, part.device.type, part.requires_grad) == (torch.float32, "cpu", False)
        assert len(part) == len(pictures)
        assert part.isfinite().all()
    assert features.pool.shape[1] == made.dim
    assert features.logits.shape[1] >= 1, "a network without classes gives one column of zeros"


def features_tell_pictures_apart(spec: str) -> None:
    _, _, features = of(spec)
    assert (features.pool.std(0) > 0).any()


def how_pictures_are_cut_up_and_ordered_does_not_matter(spec: str) -> None:
    made, pictures, whole = of(spec)
    pieces = Features.cat([made(piece) for piece in pictures.split(2)])
    order = torch.arange(len(pictures)).flip(0)
    for got, want in ((pieces, whole), (made(pictures[order]), whole[order])):
        torch.testing.assert_close(got.pool, want.pool, **CLOSE)
        torch.testing.assert_close(got.logits, want.logits, **CLOSE)


def the_same_again(spec: str) -> None:
    """From this network and from one loaded anew, inside autocast too; the pictures stay as they are."""
    made, pictures, features = of(spec)
    before, again = pictures.clone(), loaded(spec)
    assert (again.name, again.sha256, again.dim) == (made.name, made.sha256, made.dim)
    with torch.autocast("cpu", torch.bfloat16):
        for found in (made(pictures), again(pictures)):
            assert torch.equal(found.pool, features.pool)
            assert torch.equal(found.logits, features.logits)
    assert torch.equal(pictures, before)


def it_sees_uint8_pictures_that_fit_and_no_others(spec: str) -> None:
    made, pictures, _ = of(spec)
    with pytest.raises(AssertionError):
        made(pictures.float())
    misfits = [(max(made.channels) + 1, *pictures.shape[2:])]
    misfits += [(*pictures.shape[1:3], pictures.shape[3] + 1)] if made.size else []
    for shape in misfits:
        with pytest.raises(UserError, match=re.escape(f"extractor {made.name} wants pictures of")):
            made(torch.zeros(1, *shape, dtype=torch.uint8))


def its_name_is_one_that_scores_can_have(spec: str) -> None:
    made, _, _ = of(spec)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,60}", made.name)
    assert re.fullmatch(r"[0-9a-f]{64}", made.sha256)
    assert value_name("fd", made.name) == f"fd_{made.name}" or made.name == "inception"


def weights_are_frozen_and_do_not_train(spec: str) -> None:
    made, _, _ = of(spec)
    assert not made.network.training
    assert not any(weight.requires_grad for weight in made.network.parameters())


CHECKS = [
    features_are_float32_finite_and_as_wide_as_declared,
    features_tell_pictures_apart,
    how_pictures_are_cut_up_and_ordered_does_not_matter,
    the_same_again,
    it_sees_uint8_pictures_that_fit_and_no_others,
    its_name_is_one_that_scores_can_have,
    weights_are_frozen_and_do_not_train,
]
