"""What the figures of scores show, read back from them: means, bands, fronts, panels, words."""

import numpy as np
import pandas as pd
import pytest
from drawn import ARMS, EULER, FOUR, HEUN, band, guidance, line, losses, scores, value_of, words
from matplotlib.collections import LineCollection

from analysis import stats
from analysis.figures.bias import n_bias
from analysis.figures.drawing import palette
from analysis.figures.drawing.palette import colors
from analysis.figures.loss import loss_by_t
from analysis.figures.nfe import score_against_nfe
from analysis.figures.samplers import equal_nfe
from analysis.figures.steps import score_against_steps
from rope_dit.errors import UserError


def test_steps_shows_means_and_t_intervals():
    frame = scores(steps=(20, 40, 60))
    made = score_against_steps(frame, "fd_digits", ARMS)
    for arm, color in colors(ARMS).items():
        x, y = line(made, color)
        values = {step: [value_of(arm, s, step=step) + 0.5 for s in range(3)] for step in (20, 40, 60)}
        np.testing.assert_allclose(y, [np.mean(values[step]) for step in x])
        found = stats.mean_interval(values[40])
        np.testing.assert_allclose(band(made, color, 40), (found.low, found.high))
    assert "fd_digits (lower is better)" in words(made)


def test_two_seeds_have_a_range_and_one_has_none():
    color = colors(ARMS)["none"]
    two = score_against_steps(scores(seeds=2, steps=(20, 40)), "fd_digits", ARMS)
    want = [value_of("none", s, step=20) + 0.5 for s in (0, 1)]
    np.testing.assert_allclose(band(two, color, 20), want)
    one = score_against_steps(scores(seeds=1, steps=(20, 40)), "fd_digits", ARMS)
    assert band(one, color, 20) is None


def test_sampling_seeds_are_no_training_seeds():
    frame = scores(steps=(20, 40))
    more = frame.assign(sampling_seed=1, value=frame["value"] + 1)
    made = score_against_steps(pd.concat([frame, more]), "fd_digits", ARMS)
    found = stats.mean_interval([value_of("none", s, step=20) + 1.0 for s in range(3)])
    np.testing.assert_allclose(band(made, colors(ARMS)["none"], 20), (found.low, found.high))


@pytest.mark.parametrize(("factor", "scale"), [(19, "linear"), (21, "log")])
def test_a_wide_range_is_logarithmic(factor, scale):
    frame = scores(["none"], 1, (20, 40)).assign(value=[1.0, float(factor)])
    made = score_against_steps(frame, "fd_digits", ["none"])
    assert made.axes[0].get_yscale() == scale


def test_a_near_floor_is_a_line_and_a_far_one_a_caption():
    frame = scores(steps=(20, 40))
    near = score_against_steps(frame, "fd_digits", ARMS, floor=12.0)
    assert "real pictures" in words(near)
    assert 12.0 in line(near, palette.INK)[1]
    far = score_against_steps(frame, "fd_digits", ARMS, floor=0.25)
    assert "Real pictures would score 0.25." in words(far)
    assert far.axes[0].get_ylim()[0] > 5


@pytest.mark.parametrize(("better", "want"), [("lower", "rope2d"), ("higher", "none")])
def test_nfe_rings_the_pareto_front(better, want):
    frame = scores(samplers=FOUR, better=better)
    frame.loc[frame["sampler"] == HEUN.format(2), "value"] += 0.5
    made = score_against_nfe(frame, "fd_digits", ARMS)
    rings = [ln for ln in made.axes[0].lines if ln.get_marker() == "o" and ln.get_markersize() == 11]
    (ring,) = rings
    means = frame[frame["arm"] == want].groupby("sampler")["value"].mean()
    if better == "lower":
        assert list(ring.get_xdata()) == [4, 8]
        np.testing.assert_allclose(ring.get_ydata(), [means[EULER.format(4)], means[EULER.format(8)]])
        assert "Pareto front: rope2d with euler at 4 and rope2d with euler at 8." in words(made)
    else:
        np.testing.assert_allclose(ring.get_ydata(), [means[HEUN.format(2)]])
        assert "Pareto front: none with heun at 4." in words(made)
    assert made.axes[0].get_xscale() == "log"
    assert len([ln for ln in made.axes[0].lines if ln.get_marker() == "s"]) == len(ARMS)  # heun, an arm each


def test_guidances_are_families_of_their_own():
    frame = pd.concat([scores(samplers=FOUR), scores(samplers=FOUR, guidance=guidance(1.5))])
    assert "euler, cfg 1.5" in words(score_against_nfe(frame, "fd_digits", ARMS))
    frame = pd.concat([scores(samplers=FOUR), scores(samplers=FOUR, guidance="mine:w=3")])
    assert "euler, mine" in words(score_against_nfe(frame, "fd_digits", ARMS))


def test_samplers_of_unknown_plugins_are_drawn():
    made = score_against_nfe(scores(samplers=(("mine:steps=3", 3.0),)), "fd_digits", ARMS)
    assert "mine" in words(made)


def test_equal_nfe_has_a_panel_a_budget():
    frame = scores(samplers=(*FOUR, (EULER.format(16), 16.0)))
    made = equal_nfe(frame, "fd_digits", ARMS)
    assert [ax.get_title(loc="left") for ax in made.axes] == ["NFE 4", "NFE 8"]
    _, y = line(made, colors(ARMS)["learned"], axes=1)
    np.testing.assert_allclose(y, [np.mean([value_of("learned", s, 8) + 0.5 for s in range(3)])] * 2)
    bars = [c for c in made.axes[1].collections if isinstance(c, LineCollection)]
    found = stats.mean_interval([value_of("rope2d", s, 8) + 0.5 for s in range(3)])
    np.testing.assert_allclose(bars[0].get_segments()[0][:, 1], (found.low, found.high))
    alone = equal_nfe(scores(samplers=FOUR[:1]), "fd_digits", ARMS)
    assert "No two samplers" in words(alone)


def test_bias_lines_end_at_the_score_of_infinitely_many():
    made = n_bias(scores(n=(50, 100, 200)), "fd_digits", ARMS)
    x, y = max(
        ((ln.get_xdata(), ln.get_ydata()) for ln in made.axes[0].lines if 0 in ln.get_xdata()),
        key=lambda xy: xy[1][0],
    )
    at_infinity = np.mean([value_of("none", s) for s in range(3)])  # the frame adds 50 / n
    np.testing.assert_allclose((x[1], *y), (1 / 50, at_infinity, at_infinity + 1))
    single = n_bias(scores(), "fd_digits", ARMS)
    assert "no line to infinity" in words(single)


def test_loss_by_t_takes_the_last_tenth_of_the_steps():
    made = loss_by_t(losses(), ARMS)
    x, y = line(made, colors(ARMS)["none"])
    np.testing.assert_allclose(x, np.arange(0.05, 1, 0.1))
    np.testing.assert_allclose(y, 2.0 + np.arange(10))  # seeds 0, 1, 2 add 1 on average


@pytest.mark.parametrize(
    "column", ["n", "extractor", "ema", "sampler", "guidance", "tokens", "extrapolation", "classes"]
)
def test_scores_that_do_not_compare_are_refused(column):
    frame = scores(steps=(20, 40))
    other = frame.assign(**{column: {"n": 50}.get(column, HEUN.format(2))})
    with pytest.raises(UserError, match=f"have several values of {column} .*give the rows of one"):
        score_against_steps(pd.concat([frame, other]), "fd_digits", ARMS)


def test_final_scores_have_one_step_an_arm():
    with pytest.raises(UserError, match=r"fd_digits of learned have several values of train_step \(20, 40\)"):
        score_against_nfe(scores(steps=(20, 40)), "fd_digits", ARMS)


def test_absent_arms_are_named():
    made = score_against_steps(scores(["none"], steps=(20, 40)), "fd_digits", ARMS)
    assert "Without scores yet: rope2d, learned." in words(made)
