"""What the figures that set arms against each other show."""

import re

import numpy as np
import pytest
from drawn import ARMS, endpoint, losses, scores, words
from PIL import Image

from analysis import stats
from analysis.figures.bias import n_bias
from analysis.figures.forest import forest
from analysis.figures.loss import loss_by_t
from analysis.figures.nfe import score_against_nfe
from analysis.figures.pairs import _interval_text, all_pairs
from analysis.figures.samplers import equal_nfe
from analysis.figures.samples import sample_grids
from analysis.figures.seeds import paired_lines
from analysis.figures.steps import score_against_steps
from analysis.numbers import half_width


def comparisons(seeds=3, better="lower"):
    pairs = [("rope2d", "learned"), ("none", "learned")]
    return stats.compare(endpoint(seeds=seeds), pairs, rules(pairs, better=better))


def rules(pairs, **more):
    """Paired, with a margin of 0.5 around each reference."""
    return stats.Rules(paired=pairs, margins={reference: 0.5 for _, reference in pairs}, **more)


def test_forest_shows_intervals_margin_and_verdict():
    compared = comparisons(seeds=3)
    made = forest(compared)
    assert [label.get_text() for label in made.axes[0].get_yticklabels()] == ["rope2d", "none"]
    bands = [c.get_paths()[0].get_extents() for c in made.axes[0].collections]
    for y, c in enumerate(compared):
        np.testing.assert_allclose(line_at(made, y), (c.difference.low, c.difference.high))
        np.testing.assert_allclose((bands[y].x0, bands[y].x1), (-c.margin, c.margin))
        assert c.verdict in words(made)
    assert "Difference from learned" in words(made)
    assert words(made).index("better") < words(made).index("difference of") < words(made).rindex("worse")
    other = words(forest(comparisons(better="higher"), better="higher"))
    assert "worse      difference of the score      better" in other


def line_at(figure, y):
    """x of the thin line at that height."""
    thin = [ln for ln in figure.axes[0].lines if ln.get_linewidth() == 1.3]
    (found,) = (ln.get_xdata() for ln in thin if ln.get_ydata()[0] == y)
    return found


def test_forest_names_references_that_differ():
    pairs = [("rope2d", "learned"), ("none", "rope2d")]
    made = forest(stats.compare(endpoint(), pairs, rules(pairs)))
    names = [label.get_text() for label in made.axes[0].get_yticklabels()]
    assert names == ["rope2d - learned", "none - rope2d"]


def test_paired_lines_join_what_is_there():
    values = endpoint().query("not (arm == 'rope2d' and seed == 1)")
    made = paired_lines(values, "learned")
    assert [label.get_text() for label in made.axes[0].get_xticklabels()] == ["learned", "rope2d", "none"]
    seeds = [ln.get_ydata() for ln in made.axes[0].lines[:3]]
    table = values.pivot(index="seed", columns="arm", values="value")[["learned", "rope2d", "none"]]
    np.testing.assert_allclose(np.array(seeds, float), table.to_numpy())
    assert np.isnan(seeds[1][1])
    assert "seed 2" in words(made)


@pytest.mark.parametrize("paired", [True, False])
def test_all_pairs_are_rows_minus_columns(paired):
    values = endpoint()
    made = all_pairs(values, lambda *_: paired)
    cells = [text.get_text() for text in made.axes[0].texts]
    pair = [("rope2d", "learned")]
    first = stats.compare(values, pair, stats.Rules(paired=pair if paired else (), margins={}))[0].difference
    value, low, high = (float(number) for number in re.findall(r"[+-][\d.]+", cells[0]))
    assert (value, low, high) == pytest.approx(
        (first.value, first.low, first.high), abs=half_width(first) / 20
    )
    shown = made.axes[0].collections[0].get_array().reshape(3, 3)
    np.testing.assert_allclose(shown[0, 1:], [-2.2, -4.4])
    np.testing.assert_allclose(shown[2, :2], [4.4, 2.2])
    assert "Exploratory" in words(made)


def test_all_pairs_are_blue_where_the_row_is_better():
    for better, (row, column) in (("lower", (0, 2)), ("higher", (0, 2))):
        made = all_pairs(endpoint(), lambda *_: True, better)
        assert made.axes[0].get_yticklabels()[0].get_text() == ("rope2d" if better == "lower" else "none")
        mesh = made.axes[0].collections[0]
        red, _, blue, _ = mesh.to_rgba(mesh.get_array()).reshape(3, 3, 4)[row, column]
        assert blue > red


def test_each_two_arms_are_paired_or_not_by_themselves():
    made = all_pairs(endpoint(), lambda row, column: {row, column} == {"rope2d", "learned"})
    values = endpoint()
    for row, column, paired in (("rope2d", "learned", True), ("rope2d", "none", False)):
        pair = [(row, column)]
        [found] = stats.compare(values, pair, stats.Rules(paired=pair if paired else (), margins={}))
        assert _interval_text(found.difference) in [text.get_text() for text in made.axes[0].texts]


def test_pairs_without_a_common_seed_are_left_out():
    values = endpoint().query("(arm == 'none') == (seed == 0)")
    shown = all_pairs(values, lambda *_: True).axes[0].collections[0].get_array().reshape(3, 3)
    assert np.ma.count(shown) == 2


@pytest.mark.parametrize("as_bytes", [False, True])
def test_sample_grids_show_the_pictures(tmp_path, as_bytes):
    files = {}
    for i, arm in enumerate(ARMS):
        Image.fromarray(np.full((4, 6), 60 * i, np.uint8)).save(tmp_path / f"{i}.png")
        files[arm] = (tmp_path / f"{i}.png").read_bytes() if as_bytes else tmp_path / f"{i}.png"
    made = sample_grids(files)
    shown = [ax.images[0].get_array() for ax in made.axes[:3]]
    assert [round(float(a.max()) * 255) for a in shown] == [0, 60, 120]
    assert [ax.get_title(loc="left") for ax in made.axes[:3]] == ARMS
    assert not made.axes[3].images
    assert not made.axes[3].axison


def test_nothing_to_draw_is_said():
    empty = scores(arms=[])
    for made in (
        score_against_steps(empty, "fd_digits", ARMS),
        score_against_nfe(empty, "fd_digits", ARMS),
        equal_nfe(empty, "fd_digits", ARMS),
        n_bias(scores(), "kid_digits", ARMS),
        loss_by_t(losses(arms=[]), ARMS),
        forest([]),
        paired_lines(endpoint(arms=[]), "none"),
        all_pairs(endpoint(arms=["none"]), lambda *_: True),
        sample_grids({}),
    ):
        (only,) = made.axes[0].texts
        assert only.get_text().startswith("No ")
        assert not made.axes[0].axison  # nothing but the sentence is drawn
