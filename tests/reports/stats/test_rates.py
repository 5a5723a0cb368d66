"""The rule on many studies at once is the one that reports use; its parts against numbers from elsewhere."""

import itertools
import math

import numpy as np
import pytest
from compared import ARMS, FAMILY, frame
from scipy import special

from analysis.rates import __main__ as rates
from analysis.rates import after, missing
from analysis.rates.draw import draw
from analysis.rates.table import Table
from analysis.stats import Rules, compare, levels, sign_flips
from analysis.stats.intervals import paired_contrast, tail
from analysis.stats.power import seeds_needed
from experiments.cli.main import StopFlag
from rope_dit.errors import UserError

MARGIN = 2.5
CODES = {"better": -1.0, "worse": 1.0, "equivalent": 0.0, "inconclusive": math.nan}
TRUTH = (-4.0, 0.0, 1.5)


def rules(**more):
    return Rules(**{"paired": FAMILY, "margins": {ARMS[0]: MARGIN}} | more)


@pytest.mark.parametrize("studies", [40, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("noise", ["normal", "lognormal"])
@pytest.mark.parametrize("n", [3, 5, 7])
@pytest.mark.parametrize("paired", [True, False], ids=["paired", "welch"])
def test_compare_gives_the_verdicts_of_the_rule_on_arrays(paired, n, noise, studies):
    x = draw(n, studies, n, noise, (1, 1, 1, 3), shared=3.0 if paired else 0.0, truth=TRUTH)
    judged = after.judge(x, MARGIN, 0.04, paired)
    settings = rules(paired=FAMILY if paired else (), level=0.04)
    families = [compare(frame(one), FAMILY, settings) for one in x]
    verdicts = [[CODES[c.verdict] for c in family] for family in families]
    np.testing.assert_array_equal(verdicts, judged.verdict)
    np.testing.assert_array_equal([[c.by_more for c in family] for family in families], judged.more)
    np.testing.assert_array_equal([[c.p_inside for c in f] for f in families], judged.found.inside)
    if n == 7:
        assert {-1.0, 0.0} < {*judged.verdict.flat}
        assert judged.more.any()


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("reference", [False, True], ids=["arm", "reference"])
def test_compare_withholds_verdicts_of_failed_seeds_as_the_rule_on_arrays(reference, lower):
    x = draw(8, 40, 6, shared=0.0, truth=(-0.5, 0.0, 4.0))
    _, expected = missing.judge_both(x, 1, reference, MARGIN)
    lost = ARMS[0 if reference else 1]
    settings = rules(lost={lost: {"failed": 1}}, better="lower" if lower else "higher")
    verdicts = []
    for one in x:
        values = frame(one if lower else 200 - one)
        own = values[values["arm"] == lost]["value"]
        family = compare(values.drop(own.idxmax() if lower else own.idxmin()), FAMILY, settings)
        verdicts.append([CODES[c.verdict] for c in family])
    np.testing.assert_array_equal(verdicts, expected)
    assert (expected == 1).any() != reference


# two-sided 0.05, equally spaced looks, spending of the type of O'Brien and Fleming
@pytest.mark.parametrize(
    ("looks", "bounds"),
    [
        ([5], [1.95996]),
        ([1, 2], [2.9626, 1.9686]),
        ([2, 4, 6], [3.7103, 2.5114, 1.9930]),
        ([1, 2, 3, 4, 5], [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]),
    ],
)
def test_levels_are_those_of_published_bounds(looks, bounds):

    found = -special.ndtri(np.array(levels(looks, looks[-1])) / 2)
    np.testing.assert_allclose(found, bounds, atol=2e-4)


def test_looks_that_were_not_planned_add_a_fifth_at_most():
    planned = levels([3, 7], 7)
    grown = levels([3, 7, 7, 9, 9, 20], 7)
    assert grown[:2] == planned
    assert grown[2:] == [0.005, 0.0025, 0.00125, 0.000625]
    assert levels([3, 3, 7], 7) == [planned[0], 0.005, planned[1]]


def test_halls_transformation_by_hand():
    """t = 2 at skewness 0.3: 2 + 0.3 * 4 / 3 + 0.09 * 8 / 27 + 0.05 = 2.47667; with 0.3 turned, 1.57667."""
    contrast = paired_contrast(np.array([1.0, 2.0, 3.0, 6.0]), np.zeros(4))
    distance = 2 * contrast.error

    assert float(tail(contrast, distance)) == pytest.approx(special.stdtr(3, -2.0))
    assert float(tail(contrast, distance, -0.3)) == pytest.approx(special.stdtr(3, -1.5766667))
    assert float(tail(contrast, distance, 0.3)) == pytest.approx(
        special.stdtr(3, -2.0)
    )  # never further from 0


def test_skewness_of_a_mean_by_hand():
    """Of 1, 2, 3, 6: deviations -2, -1, 0, 3; squares 14, cubes 18: (18 / 4) / (14 / 4)**1.5 / sqrt(4)."""
    contrast = paired_contrast(np.array([1.0, 2.0, 3.0, 6.0]), np.zeros(4))
    assert float(contrast.skew) == pytest.approx(4.5 / 3.5**1.5 / 2)


@pytest.mark.parametrize("n", [1, 2, 7, 14, 15])
def test_sign_flips_of_many_studies_are_those_of_each(n):
    x = np.random.default_rng(n).normal(size=(3, 4, n)).round(1)  # rounded: sums tie
    x[0, 0] = 0
    single = [[sign_flips.sign_flip_p(one) for one in row] for row in x]
    np.testing.assert_array_equal(sign_flips.sign_flip_ps(x), single)


def test_sign_flips_of_many_studies_in_blocks(monkeypatch):
    x = np.random.default_rng(1).normal(size=(50, 8))
    whole = sign_flips.sign_flip_ps(x)
    monkeypatch.setattr(sign_flips, "_BLOCK", 2**9)
    np.testing.assert_array_equal(sign_flips.sign_flip_ps(x), whole)


def test_sign_flips_without_seeds_have_no_p():
    assert np.isnan(sign_flips.sign_flip_ps(np.zeros((2, 0)))).all()


@pytest.mark.parametrize("equivalence", [True, False])
@pytest.mark.parametrize("size", [0.8, 1.5, 3.0])
def test_seeds_needed_are_the_fewest_that_reach_the_verdict(size, equivalence):
    """Counted: 20,000 draws of t with n seeds, for n = 3, 4, ... until 80 % reach it."""

    rng, level = np.random.default_rng(1), 0.05 / 3

    def reached(n):
        x = rng.normal(0.0 if equivalence else size, 1, (20_000, n))
        mean, error = x.mean(1), x.std(1, ddof=1) / math.sqrt(n)
        if equivalence:
            return (abs(mean) + special.stdtrit(n - 1, 1 - level) * error < size).mean()
        return (mean > special.stdtrit(n - 1, 1 - level / 2) * error).mean()

    first = next(n for n in itertools.count(3) if reached(n) >= 0.8)
    needed = seeds_needed(2.0, 1e9, 2.0 * size, level, equivalence)
    assert abs(needed.seeds - first) <= 1
    assert needed.low == needed.seeds == needed.high


def test_range_of_seeds_needed_is_that_of_the_spread():
    """90 % of chi-square with 6 degrees of freedom: 1.635 to 12.59."""
    needed = seeds_needed(1.0, 6, 1.0, 0.05, False)
    ends = [seeds_needed(math.sqrt(6 / chi), 1e12, 1.0, 0.05, False).seeds for chi in (12.5916, 1.6354)]
    assert [needed.low, needed.high] == ends
    assert needed.low < needed.seeds < needed.high


@pytest.mark.parametrize(("sd", "margin"), [(0.0, 1.0), (math.nan, 1.0), (1.0, 0.0), (1.0, math.nan)])
def test_seeds_needed_are_none_where_nothing_can_be_said(sd, margin):
    assert seeds_needed(sd, 6, margin, 0.05, True) is None


def test_the_command_writes_a_table(tmp_path, capsys):
    file = tmp_path / "made" / "rates.md"
    words = ["--studies", "200", "--only", "coverage", "--out", str(file)]
    assert rates.command(words, StopFlag()) == 0
    text = file.read_text()
    assert text.startswith("Made by `python -m analysis.rates --studies 200 --only coverage`")
    assert text.count("\n## ") == 1
    assert "| mean | normal | 9" in text
    assert str(file) in capsys.readouterr().out
    assert rates.command(words, StopFlag()) == 0
    assert file.read_text() == text


@pytest.mark.parametrize(
    ("words", "said"), [(["--only", "look"], "Did you mean 'looks'"), (["--studies", "5"], "100 to")]
)
def test_the_command_refuses_what_it_cannot_measure(words, said):
    with pytest.raises(UserError, match=said):
        rates.command(words, StopFlag())


@pytest.mark.slow
@pytest.mark.parametrize("name", rates.TABLES)
def test_every_table_has_a_cell_a_column(name):
    table = rates.TABLES[name](100)
    assert isinstance(table, Table)
    assert {len(row) for row in table.rows} == {len(table.columns)}
