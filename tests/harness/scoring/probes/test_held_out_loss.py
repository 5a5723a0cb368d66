"""The held-out loss of velocities that are known."""

import pytest
import torch
from subjects import known, subject

from experiments.datasets.batches import to_float
from experiments.scoring.probes import default_probes, probe, probe_all

LABELS = torch.arange(600) % 3
SHADES = torch.tensor([0, 100, 255], dtype=torch.uint8)
PIXELS = SHADES[LABELS].view(-1, 1, 1, 1).expand(-1, 2, 4, 4)
"""one shade a class, so that x_t and the true class give the velocity away"""
TENTHS = [f"held_out_loss_t{k}" for k in range(10)]


def exact(x, t, labels):
    return (to_float(SHADES)[labels] - x) / (1 - t)


def test_who_knows_the_class_knows_the_velocity():
    found = probe("held_out_loss", known(exact, PIXELS, LABELS))
    assert max(found.values()) < 1e-5  # x - x1 is divided by 1 - t
    wrong = probe("held_out_loss", known(lambda x, t, y: exact(x, t, (y + 1) % 3), PIXELS, LABELS))
    assert wrong["held_out_loss_t0"] > 0.5


def test_an_error_that_grows_with_t_is_told_by_tenths():
    found = probe("held_out_loss", known(lambda x, t, y: exact(x, t, y) + t, PIXELS, LABELS))
    assert [found[name] for name in TENTHS] == pytest.approx(
        [((k + 1) ** 3 - k**3) / 300 for k in range(10)], rel=0.02, abs=0.0004
    )
    assert found["held_out_loss"] == pytest.approx(1 / 3, rel=0.01)
    assert found["held_out_loss"] == pytest.approx(sum(found[name] for name in TENTHS) / 10)


def test_no_velocity_at_all_costs_what_pictures_and_noise_weigh():
    found = probe("held_out_loss", known(lambda x, t, y: 0 * x, PIXELS, LABELS))
    expected = 1 + to_float(PIXELS).square().mean().item()
    assert found == {name: pytest.approx(expected, rel=0.03) for name in found}
    assert len(set(found.values())) == 11, "each tenth has noise of its own"


def test_it_is_about_the_velocity_whatever_the_network_predicts():
    still = subject(objective="x", weights=0)  # says that x1 is 0, so the velocity is -x0 at t = 0
    found = probe("held_out_loss", still)
    assert found["held_out_loss_t0"] < found["held_out_loss_t5"] < found["held_out_loss_t9"]


def test_of_many_pictures_1000_are_taken_evenly():
    seen = []
    pixels = (torch.arange(3000) // 1000 * 100).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    made = known(lambda x, t, y: (seen.append(y.flatten()), 0 * x)[1], pixels, torch.arange(3000))
    probe("held_out_loss", made)
    taken = torch.cat(seen)
    assert len(taken) == 10_000
    assert torch.equal(taken.unique(), torch.arange(1000) * 3)


def test_the_first_pictures_of_a_set_keep_their_numbers():
    """A picture's times and noise depend on its place alone, so that sets that grow stay comparable."""
    made = subject(n=7)
    batches = [list(made.batches(most, "held_out_loss")) for most in (1000, 1000)]
    a, b = (torch.cat([batch.noise(3) for batch in some]) for some in batches)
    assert torch.equal(a, b)
    assert not torch.equal(a, torch.cat([batch.noise(4) for batch in batches[0]]))
    assert not torch.equal(a, torch.cat([batch.noise(3) for batch in made.batches(1000, "other")]))


def test_all_that_is_on_is_measured():
    made = subject()
    assert "held_out_loss" in default_probes()
    assert "bits_per_dim" not in default_probes()
    assert probe_all(made).items() >= probe("held_out_loss", made).items()
