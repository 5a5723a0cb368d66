"""What holds of every metric: it returns what it claims, in the direction that it claims."""

import math

import pytest
import torch

from experiments.config.registries import METRICS
from experiments.scoring.extractors.base import Features
from rope_dit.registry import Part

K = 10


def normal(n: int, dim: int = 8, seed: int = 0, mean: float = 0.0, sd: float = 1.0) -> Features:
    """Gaussian features, and logits that say one of K classes loudly."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(K, (n,), generator=generator)
    pool = mean + sd * torch.randn(n, dim, generator=generator)
    return Features(pool, 20 * torch.nn.functional.one_hot(labels, K).float())


def clusters(n: int, which: range, seed: int = 0) -> Features:
    """Pictures of the classes `which`: tight clusters, 10 apart."""
    labels = torch.tensor(which)[torch.arange(n) % len(which)]
    hot = torch.nn.functional.one_hot(labels, K).float()
    noise = torch.randn(n, K, generator=torch.Generator().manual_seed(seed))
    return Features(10 * hot + 0.1 * noise, 20 * hot)


def measured(spec: str, generated: Features, real: Features) -> dict[str, float]:
    part = Part.parse(spec)
    metric = METRICS.load(part.name)(**METRICS[part.name].resolve(part))
    found: dict[str, float] = metric.measure(generated, real)
    return found


def values_of(spec: str) -> dict[str, str]:
    """Direction of each of its values."""
    found: dict[str, str] = METRICS[Part.parse(spec).name].claims["values"]
    return found


def it_returns_what_it_claims(spec: str) -> None:
    got = measured(spec, normal(60), normal(50, seed=1))
    assert got.keys() == values_of(spec).keys()
    assert set(values_of(spec).values()) <= {"lower", "higher"}
    assert all(type(value) is float and math.isfinite(value) for value in got.values())


def its_values_are_no_other_metrics(spec: str) -> None:
    name = Part.parse(spec).name
    others = {value for entry in METRICS if entry.name != name for value in entry.claims["values"]}
    assert not others & values_of(spec).keys()
    assert all(value.replace("_", "a").isalnum() for value in values_of(spec)), "scores are named after it"


def the_fewest_pictures_are_enough(spec: str) -> None:
    least = METRICS[Part.parse(spec).name].claims["min_images"]
    got = measured(spec, normal(least), normal(least, seed=1))
    assert all(map(math.isfinite, got.values()))


def better_is_the_direction_it_claims(spec: str) -> None:
    """The real distribution beats one that lost half of the classes and half of its sharpness.

    What says how many are copies, is worse for copies.
    """
    of_copies = METRICS[Part.parse(spec).name].claims.get("of_copies", ())
    real, good = clusters(200, range(K)), clusters(200, range(K), seed=1)
    lost = clusters(200, range(K // 2), seed=2)
    bad = Features(lost.pool + normal(200, K, seed=3).pool, lost.logits / 10)
    a, b, copied = measured(spec, good, real), measured(spec, bad, real), measured(spec, real[:150], real)
    b |= {value: copied[value] for value in of_copies}
    for value, better in values_of(spec).items():
        assert a[value] < b[value] if better == "lower" else a[value] > b[value], value


def order_does_not_matter(spec: str) -> None:
    """Or only a little, where a metric says that its splits follow the order."""
    a, b = normal(200), normal(200, seed=1, mean=0.2)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(2))
    follows = METRICS[Part.parse(spec).name].claims.get("follows_order", False)
    want, rel = measured(spec, a, b), 0.03 if follows else 1e-4
    assert measured(spec, a[order], b) == pytest.approx(want, rel=rel)
    assert measured(spec, a, b[order.flip(0)]) == pytest.approx(want, rel=rel)


def the_same_again_and_the_features_as_they_were(spec: str) -> None:
    a, b = normal(60), normal(50, seed=1)
    before = [part.clone() for side in (a, b) for part in (side.pool, side.logits)]
    assert measured(spec, a, b) == measured(spec, a, b) == measured(spec, normal(60), normal(50, seed=1))
    after = [part for side in (a, b) for part in (side.pool, side.logits)]
    assert all(map(torch.equal, before, after))


CHECKS = [
    it_returns_what_it_claims,
    its_values_are_no_other_metrics,
    the_fewest_pictures_are_enough,
    better_is_the_direction_it_claims,
    order_does_not_matter,
    the_same_again_and_the_features_as_they_were,
]
