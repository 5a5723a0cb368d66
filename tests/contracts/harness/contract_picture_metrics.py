"""What holds of every picture metric: it returns what it claims, and the same whatever the order."""

import math

import pytest
import torch
from extractors import scenes_for

from experiments.config.registries import PICTURE_METRICS
from experiments.scoring.picture_metrics.base import Pictures


def measured(spec: str, generated: Pictures, real: Pictures) -> dict[str, float]:
    found: dict[str, float] = PICTURE_METRICS.load(spec)().measure(generated, real)
    return found


def some(spec: str, n: int, first: int = 0) -> Pictures:
    """Pictures of the data set that it is for, or any."""
    return scenes_for(PICTURE_METRICS[spec].claims.get("data_set"), range(first, first + n))


def torn(some: Pictures) -> Pictures:
    """The same pictures with their patches in random order."""
    n, channels, height, width = some.pixels.shape
    rows, columns, side = height // some.patch, width // some.patch, some.patch
    patches = some.pixels.view(n, channels, rows, side, columns, side).permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    order = torch.rand(n, rows * columns, generator=torch.Generator().manual_seed(0)).argsort(1)
    mixed = patches[torch.arange(n)[:, None], order].unflatten(1, (rows, columns))
    return Pictures(mixed.permute(0, 3, 1, 4, 2, 5).reshape_as(some.pixels), some.labels, side)


def it_returns_what_it_claims(spec: str) -> None:
    claims = PICTURE_METRICS[spec].claims
    got = measured(spec, some(spec, 30), some(spec, 40, 30))
    assert got.keys() == claims["values"].keys()
    assert set(claims["values"].values()) <= {"lower", "higher"}
    for value, (low, high) in claims.get("ranges", {}).items():
        assert (-math.inf if low is None else low) <= got[value] <= (math.inf if high is None else high)
    assert all(type(value) is float and math.isfinite(value) for value in got.values())


def the_fewest_pictures_are_enough(spec: str) -> None:
    least = PICTURE_METRICS[spec].claims["min_images"]
    assert all(map(math.isfinite, measured(spec, some(spec, least), some(spec, least, least)).values()))


def whole_pictures_beat_torn_ones(spec: str) -> None:
    real = some(spec, 40, 40)
    good, bad = measured(spec, some(spec, 40), real), measured(spec, torn(some(spec, 40)), real)
    for value, better in PICTURE_METRICS[spec].claims["values"].items():
        assert good[value] < bad[value] if better == "lower" else good[value] > bad[value], value


def order_does_not_matter(spec: str) -> None:
    generated, real = some(spec, 30), some(spec, 30, 30)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    turned = Pictures(generated.pixels[order], generated.labels[order], generated.patch)
    assert measured(spec, turned, real) == pytest.approx(measured(spec, generated, real), rel=1e-9)


def pictures_stay_as_they_were(spec: str) -> None:
    generated, real = some(spec, 20), some(spec, 20, 20)
    before = [one.pixels.clone() for one in (generated, real)]
    assert measured(spec, generated, real) == measured(spec, generated, real)
    assert torch.equal(generated.pixels, before[0])
    assert torch.equal(real.pixels, before[1])


CHECKS = [
    it_returns_what_it_claims,
    the_fewest_pictures_are_enough,
    whole_pictures_beat_torn_ones,
    order_does_not_matter,
    pictures_stay_as_they_were,
]
