"""Where the grids put their steps; contract_grids.py holds what all owe."""

import pytest
import torch

from rope_dit.densities.logit_normal import LogitNormal
from rope_dit.errors import UserError
from rope_dit.grids.cosine import cosine
from rope_dit.grids.custom import custom
from rope_dit.grids.edm import edm
from rope_dit.grids.logit_normal import logit_normal
from rope_dit.grids.sharp import profile_of, sharp
from rope_dit.grids.shifted import shifted
from rope_dit.grids.uniform import uniform
from rope_dit.registry import GRIDS


def test_uniform_steps_are_equal():
    torch.testing.assert_close(uniform(8), torch.arange(9, dtype=torch.float64) / 8, rtol=0, atol=1e-15)


@pytest.mark.parametrize("shift", [1e-3, 0.1, 0.7, 1.0, 3.0, 1e3])
@pytest.mark.parametrize("steps", [1, 10, 100_000])
def test_shifted_keeps_ends_and_order_at_any_shift(steps, shift):
    times = shifted(steps, shift=shift)
    assert (times[0], times[-1]) == (0, 1)
    assert (times.diff() > 0).all()


@pytest.mark.parametrize("shift", [0.1, 1.0, 3.0, 1e3])
def test_shifted_is_the_papers_shift_in_our_time(shift):
    s = 1 - uniform(64)  # 1 is noise, as in arXiv:2403.03206
    torch.testing.assert_close(
        1 - shifted(64, shift=shift), shift * s / (1 + (shift - 1) * s), rtol=0, atol=1e-13
    )


def test_shifted_has_more_steps_near_noise_for_a_shift_above_1():
    assert shifted(2)[1].item() == 0.25  # shift 3 moves the paper's s = 1/2 to 3/4
    assert (shifted(10, shift=3.0)[1:-1] < uniform(10)[1:-1]).all()
    assert (shifted(10, shift=0.3)[1:-1] > uniform(10)[1:-1]).all()
    torch.testing.assert_close(shifted(10, shift=1.0), uniform(10), rtol=0, atol=1e-15)


@pytest.mark.parametrize("shift", [0.0, -3.0, 1e-4, 1e4, float("nan"), float("inf")])
def test_shifted_refuses_shifts_that_make_no_grid(shift):
    with pytest.raises(UserError, match=r"grid shifted: option 'shift' got .*, expected a number from"):
        shifted(10, shift=shift)


def test_cosine_has_the_signal_to_noise_ratios_of_the_cosine_schedule():
    u, t = uniform(16)[1:-1], cosine(16)[1:-1]
    angle = torch.pi / 2 * u
    torch.testing.assert_close(t / (1 - t), angle.sin() / angle.cos(), rtol=1e-12, atol=0)


def test_cosine_is_the_quantiles_of_cosmap():
    """Whose density in arXiv:2403.03206 is 2 / (pi - 2 pi t + 2 pi t^2)."""
    t = cosine(8)
    for start, end in zip(t[:-1].tolist(), t[1:].tolist(), strict=True):
        s = torch.linspace(start, end, 2001, dtype=torch.float64)
        share = torch.trapezoid(2 / (torch.pi * (1 - 2 * s + 2 * s**2)), s)
        assert share.item() == pytest.approx(1 / 8, abs=1e-6)


def test_edm_has_the_noise_levels_of_the_paper_and_pure_noise_for_the_first():
    """Its equation 5, for 5 steps: sigma_0 = 80 and sigma_4 = 0.002, then 0."""
    sigma = [(80 ** (1 / 7) + i / 4 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for i in range(5)]
    assert (sigma[0], sigma[4]) == (pytest.approx(80), pytest.approx(0.002))
    t = edm(5)
    assert t[[0, -1]].tolist() == [0, 1]
    assert ((1 - t) / t)[1:-1].tolist() == pytest.approx(sigma[1:])
    assert edm(1).tolist() == [0, 1]


def test_logit_normal_has_equal_shares_of_the_density_of_that_name():
    for mean, std in ((0.0, 1.0), (-1.5, 0.5)):
        inner = LogitNormal(mean=mean, std=std).quantile(uniform(9)[1:-1])
        assert torch.equal(logit_normal(9, mean=mean, std=std)[1:-1], inner)


def test_custom_has_the_times_it_is_given():
    times = (0.0, 0.1, 0.100002, 1.0)
    assert custom(3, times=times).tolist() == list(times)
    with pytest.raises(AssertionError, match="5 steps have no 4 times"):
        custom(5, times=times)


def test_sharp_has_equal_shares_between_the_times_of_its_profile():
    assert sharp(2, profile=(0.0, 0.1, 0.2, 0.6, 1.0)).tolist() == [0.0, 0.2, 1.0]
    assert sharp(4, profile=(0.0, 0.25, 1.0)).tolist() == [0.0, 0.125, 0.25, 0.625, 1.0]
    torch.testing.assert_close(sharp(50, profile=profile_of(torch.ones(128))), uniform(50), rtol=0, atol=1e-4)


def test_sharp_without_a_profile_says_where_one_comes_from():
    with pytest.raises(UserError, match=r"^grid sharp got no profile: a study .* measures it") as caught:
        sharp(4)
    assert len(str(caught.value)) <= 200


def test_a_profile_is_dense_where_the_velocity_changes_fast():
    """Half of the roots' sum lies in the quarter where the change is nine times that elsewhere."""
    changes = torch.ones(128)
    changes[32:64] = 9
    profile = profile_of(changes)
    assert profile[8] == pytest.approx(0.25 + 0.25 * 2 / 3, abs=2e-3)
    assert sum(0.25 < t < 0.5 for t in profile) == 8


@pytest.mark.parametrize("change", [0.0, float("nan"), float("inf")])
def test_what_does_not_change_has_no_profile(change):
    """As a network that was not trained."""
    with pytest.raises(UserError, match="grid sharp: changes of the velocity got"):
        profile_of(torch.full((128,), change))
    assert profile_of(torch.full((128,), 1e-30))[:2] == (0, 0.0625)


def test_a_profile_of_one_sharp_step_is_still_a_grid():
    changes = torch.zeros(128)
    changes[77] = 1e12
    times = sharp(1000, profile=profile_of(changes))
    assert (times.diff() > 0).all()


FROM_0_TO_1 = "numbers from 0 to 1, each above the one before by 1e-06 or more."


@pytest.mark.parametrize(
    ("grid", "options", "message"),
    [
        ("edm", {"rho": 0.5}, "option 'rho' got 0.5, expected a number from 1 to 100."),
        ("edm", {"rho": 101.0}, "option 'rho' got 101.0"),
        ("edm", {"sigma_min": 0.0}, "option 'sigma_min' got 0.0, expected a number from 1e-06 to below"),
        ("edm", {"sigma_min": 80.0}, "option 'sigma_min' got 80.0"),
        ("edm", {"sigma_max": 2e6}, "option 'sigma_max' got 2000000.0, expected a number up to 1e6."),
        ("logit_normal", {"mean": -6.0}, "option 'mean' got -6.0, expected a number from -5 to 5."),
        ("logit_normal", {"mean": float("nan")}, "option 'mean' got nan"),
        ("logit_normal", {"std": 0.0}, "option 'std' got 0.0, expected a number from 0.01 to 3."),
        ("logit_normal", {"std": 4.0}, "option 'std' got 4.0"),
        ("sharp", {"profile": (0.0, 0.5)}, "option 'profile' got '0/0.5', expected times from 0 to 1"),
        ("sharp", {"profile": (0.0, 0.5, 0.5, 1.0)}, "option 'profile' got '0/0.5/0.5/1'"),
        ("custom", {"times": (0.0,)}, f"option 'times' got '0', expected {FROM_0_TO_1}"),
        ("custom", {"times": (0.0, 0.5)}, f"option 'times' got '0/0.5', expected {FROM_0_TO_1}"),
        ("custom", {"times": (0.1, 1.0)}, "got '0.1/1'"),
        ("custom", {"times": (0.0, 0.6, 0.5, 1.0)}, "got '0/0.6/0.5/1'"),
        ("custom", {"times": (0.0, 0.5, 0.5, 1.0)}, "got '0/0.5/0.5/1'"),
        ("custom", {"times": (0.0, 1e-7, 1.0)}, "got '0/1e-07/1'"),
        ("custom", {"times": (0.0, *[0.123] * 50, 1.0)}, "got '0/0.123/0.123"),
    ],
)
def test_options_that_make_no_grid_are_refused(grid, options, message):
    with pytest.raises(UserError) as caught:
        GRIDS.load(grid)(len(options.get("times", range(6))) - 1, **options)
    assert str(caught.value).startswith(f"grid {grid}: ")
    assert message in str(caught.value)
    assert len(str(caught.value)) <= 200


@pytest.mark.parametrize(
    ("grid", "options"),
    [
        ("edm", {"rho": 1.0}),
        ("edm", {"rho": 100.0}),
        ("edm", {"sigma_min": 1e-6, "sigma_max": 1e6}),
        ("logit_normal", {"mean": -5.0, "std": 3.0}),
        ("logit_normal", {"mean": 5.0, "std": 3.0}),
        ("logit_normal", {"mean": 5.0, "std": 0.01}),
        ("logit_normal", {"mean": -5.0, "std": 0.01}),
    ],
)
@pytest.mark.parametrize("steps", [1, 2, 10, 100_000])
def test_ends_and_order_are_kept_at_the_bounds_of_the_options(grid, options, steps):
    times = GRIDS.load(grid)(steps, **options)
    assert (times[0], times[-1]) == (0, 1)
    assert (times.diff() > 0).all()
