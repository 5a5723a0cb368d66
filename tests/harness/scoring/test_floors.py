"""What real pictures score: held to real pictures of known distributions, drawn as often as needed."""

import numpy as np
import pytest
import torch
from extractors import digits_fixture, images_fixture  # noqa: F401

from experiments.datasets import Images
from experiments.scoring.extractors.base import Extractor, Features
from experiments.scoring.floors import Floor, copies, distance, drawn, frechet_floor, of_draws
from experiments.scoring.reference import Reference

CLASSES, WIDTH = 8, 16


def mixture(labels: np.ndarray, seed: int, apart: float = 2.0) -> Features:
    """Pictures of classes that lie apart, each with features as wide as the other."""
    means = apart * np.random.default_rng(99).standard_normal((CLASSES, WIDTH))
    pool = means[labels] + np.random.default_rng(seed).standard_normal((len(labels), WIDTH))
    return Features(torch.from_numpy(pool).float(), torch.zeros(len(labels), 1))


def split(n: int, seed: int) -> tuple[Features, np.ndarray]:
    """With each class in proportion, as splits are."""
    labels = np.arange(n) % CLASSES
    return mixture(labels, seed), labels


def estimate(n: int, m: int, n_real: int, classes: str, seed: int) -> float | None:
    """As `Reference.floors` does it."""
    (held_out, labels), (train, train_labels) = split(m, 2 * seed), split(n_real, 2 * seed + 1)
    size = min(n, m if classes == "proportional" else m // 2)
    found = [
        of_draws(held_out, labels, train, train_labels, *how)["fd"]
        for how in ((size, classes), (m, "proportional"))
    ]
    return frechet_floor(Floor(found[0], size), Floor(found[1], m), n, n_real, WIDTH)


@pytest.mark.parametrize("classes", ["data", "proportional"])
@pytest.mark.parametrize("n", [30, 160, 2000])  # measured, measured or concluded, concluded
def test_the_floor_of_the_distance_is_what_fresh_pictures_of_such_classes_get(n, classes):
    """Classes that are drawn independently add to it; proportional ones do not."""
    truth, draw = [], np.random.default_rng(5)
    for seed in range(1000, 1012):
        train, _ = split(1200, 2 * seed + 1)
        independent = draw.integers(0, CLASSES, n)
        labels = independent if classes == "data" else (np.arange(n) + draw.integers(CLASSES)) % CLASSES
        truth.append(distance(mixture(labels, 2 * seed), train))
    found = [estimate(n, 240, 1200, classes, seed) for seed in range(4)]
    assert np.mean(found) == pytest.approx(np.mean(truth), rel=0.15)


def test_it_is_not_concluded_from_fewer_pictures_than_twice_the_features():
    assert estimate(2000, 31, 1200, "proportional", 0) is None
    assert estimate(2000, 32, 1200, "proportional", 0) is not None
    assert estimate(2000, 62, 1200, "data", 0) is None
    assert estimate(31, 31, 1200, "proportional", 0) is not None  # it was measured


@pytest.mark.parametrize("spread", [1.0, 0.8])
def test_what_it_concludes_is_near_the_truth_on_gaussians_of_any_covariance(spread):
    """From twice the features on; from half of them it would be 1.3 times that, where all are alike."""
    scale = torch.tensor(spread) ** torch.arange(WIDTH)

    def some(n: int, seed: int) -> Features:
        pool = scale * torch.randn(n, WIDTH, generator=torch.Generator().manual_seed(seed))
        return Features(pool, torch.zeros(n, 1))

    def mean(n: int) -> float:
        return float(np.mean([distance(some(n, 2 * i), some(2000, 2 * i + 1)) for i in range(60)]))

    truth = mean(1000)
    for m in (2 * WIDTH, 4 * WIDTH):
        measured = Floor(mean(m), m)
        found = frechet_floor(measured, measured, 1000, 2000, WIDTH)
        assert found == pytest.approx(truth, rel=0.15)
    (few, size) = (mean(WIDTH // 2), WIDTH // 2)
    assert spread < 1 or few * (1 / 1000 + 1 / 2000) / (1 / size + 1 / 2000) > 1.2 * truth


def test_draws_have_classes_as_the_score_has_them_and_no_picture_twice_before_all_of_its_class():
    labels = np.repeat(np.arange(CLASSES), 30)
    for seed in range(20):
        rows = drawn(labels, 120, "proportional", seed, labels)
        assert len({*rows.tolist()}) == 120
        assert np.abs(np.bincount(labels[rows], minlength=CLASSES) - 15).max() <= 3
        assert len(np.unique(labels[rows[:16]])) == CLASSES  # in no order of classes
    spread = [
        np.bincount(labels[drawn(labels, 120, "data", seed, labels)], minlength=CLASSES) for seed in range(50)
    ]
    assert np.var(spread, axis=0).mean() == pytest.approx(120 / 8 * 7 / 8, rel=0.25)


def test_classes_of_which_none_is_held_out_are_not_drawn():
    labels, train_labels = np.array([0, 0, 2, 2]), np.array([0, 1, 1, 1, 2])
    rows = drawn(labels, 40, "data", 0, train_labels)
    assert {*labels[rows].tolist()} == {0, 2}


def test_floors_of_digits_are_of_as_many_pictures(reference):
    """Held-out pictures at their own number had 8.44 for the inception score, whatever n."""
    few, all_of_them = (reference.floors(n, "proportional") for n in (50, 1000))
    assert few["is"].value == pytest.approx(3.95, abs=0.15)
    assert all_of_them["is"].value == pytest.approx(8.44, abs=0.1)
    assert {floor.n for floor in few.values()} == {50}
    assert {floor.n for floor in all_of_them.values()} == {360}


def test_floors_are_of_the_score_s_own_way_to_draw_classes(reference):
    """The kernel distance of proportional classes lacks pairs of one class, and lies below 0."""
    alike, apart = (reference.floors(180, classes) for classes in ("proportional", "data"))
    assert alike["kid"].value < -0.012
    assert abs(apart["kid"].value) < 0.008
    assert alike["fd"].value < 0.6 * apart["fd"].value


def test_a_floor_that_cannot_be_told_is_said_once(reference, caplog, monkeypatch):
    monkeypatch.setattr("experiments.scoring.floors.RANK", 6)
    monkeypatch.setattr("experiments.scoring.reference.RANK", 6)
    assert reference.floors(1000, "proportional")["fd"] == Floor(None, 360)
    assert reference.floors(1000, "proportional")["is"].value is not None
    assert [record.message for record in caplog.records] == [
        "fd of 1000 real pictures cannot be told from 360 held-out ones: that takes at least 384, twice the "
        "features of digits; reports have a dash for the real floor"
    ]


# The distance from held-out pictures


def test_copies_lie_below_the_floor_and_at_that_of_the_held_out(reference):
    train, labels = reference.train, reference.images.train_labels
    rng = np.random.default_rng(0)
    wanted = [labels[drawn(labels, 1000, "proportional", 100 + i, labels)] for i in range(6)]
    taken = [train[[rng.choice(np.flatnonzero(labels == label)) for label in some]] for some in wanted]
    found = [reference.from_held_out(some, "proportional") for some in taken]
    floor = reference.floors(1000, "proportional")["fd"].value
    assert np.mean([distance(some, train) for some in taken]) < 0.85 * floor
    assert np.mean([one["held_out"] for one in found]) == pytest.approx(found[0]["held_out_floor"], rel=0.1)
    assert reference.from_held_out(taken[0], "data")["held_out_floor"] > found[0]["held_out_floor"]


def test_the_distance_is_that_of_the_metric(reference):
    some = reference.train[:300]
    assert reference.from_held_out(some, "data")["held_out"] == distance(some, reference.held_out)


def test_the_floor_of_copies_is_of_as_many_pictures_and_always_the_same(reference):
    known = (reference.train, reference.images.train_labels, reference.held_out)
    assert copies(*known, 100, "data") > 1.5 * copies(*known, 1000, "data") > 0
    again = Features(known[0].pool.clone(), known[0].logits.clone())
    assert copies(again, *known[1:], 100, "data") == copies(*known, 100, "data")


@pytest.fixture
def reference(digits: Extractor, images: Images, tmp_path, monkeypatch) -> Reference:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = Reference(images, digits, lambda: False)
    made.make()
    return made
