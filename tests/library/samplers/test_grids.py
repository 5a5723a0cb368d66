"""Where the grids put their steps; contract_grids.py holds what all owe."""

import pytest
import torch

from rope_dit.errors import UserError
from rope_dit.grids.shifted import shifted
from rope_dit.grids.uniform import uniform


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
