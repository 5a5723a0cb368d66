"""Rankings under samplers, scores at infinity, and the two spreads."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from analysis.stats import at_infinity, kendall_tau, spreads
from rope_dit.errors import UserError

ARMS = ("a", "b", "c", "d")


def scores(rng, noise, seeds=7):
    """Two samplers that rank four arms alike but for noise, and a third that turns the ranking round."""
    rows = [
        (arm, seed, sampler, sign * rank + noise * rng.normal())
        for sampler, sign in (("euler", 1), ("heun", 1), ("odd", -1))
        for rank, arm in enumerate(ARMS)
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows, columns=["arm", "seed", "sampler", "value"])


def tau(values, seed=0, samples=500):
    return kendall_tau(values, "sampler", np.random.default_rng(seed), samples)


def test_tau_of_clear_rankings():
    found = tau(scores(np.random.default_rng(1), 0.01)).set_index(["first", "second"])
    least = 2 * 0.025 ** (1 / 7) - 1  # what seven seeds that agree can tell
    assert found.loc[("euler", "heun")].tolist() == [1, least, 1]
    assert found.loc[("euler", "odd")].tolist() == [-1, -1, -least]
    assert len(found) == 3


def test_tau_agrees_with_scipy_also_with_ties():
    values = scores(np.random.default_rng(2), 2.0)
    values.loc[(values["sampler"] == "heun") & (values["arm"].isin(["a", "b"])), "value"] = 1.0
    means = values.groupby(["sampler", "arm"])["value"].mean().unstack()
    for row in tau(values).itertuples():
        expected = scipy.stats.kendalltau(means.loc[row.first], means.loc[row.second])
        assert row.tau == pytest.approx(expected.statistic)


def test_the_same_generator_gives_the_same_interval_and_another_another():
    values = scores(np.random.default_rng(3), 1.5, seeds=5)
    pd.testing.assert_frame_equal(tau(values, seed=1), tau(values, seed=1))
    assert not tau(values, seed=1, samples=25).equals(tau(values, seed=2, samples=25))


def test_noisy_rankings_have_wide_intervals():
    found = tau(scores(np.random.default_rng(4), 2.0))
    assert ((found["low"] <= found["tau"]) & (found["tau"] <= found["high"])).all()
    assert (found["high"] - found["low"]).max() > 0.3


@pytest.mark.parametrize(("arms", "seeds"), [(2, 2), (2, 5), (2, 7), (3, 3), (3, 7)])
def test_equal_arms_are_seldom_ranked_alike_by_an_interval_that_excludes_0(arms, seeds):
    """Scores under two samplers of the same networks, half of whose variance is the network's."""
    rng = np.random.default_rng(100 * arms + seeds)
    index = pd.MultiIndex.from_product(
        [range(2), range(arms), range(seeds)], names=["sampler", "arm", "seed"]
    )
    wrong = 0
    for _ in range(100):
        drawn = rng.normal(size=(arms, seeds)) + rng.normal(size=(2, arms, seeds))
        [found] = tau(pd.Series(drawn.ravel(), index, name="value").reset_index(), samples=200).itertuples()
        wrong += found.tau == 1 and found.low > 0
    assert wrong <= (10 if seeds > 5 else 0)  # 5 %, and what chance adds in one of 100 cases


def test_order_of_rows_changes_no_tau():
    values = scores(np.random.default_rng(5), 2.0)
    assert tau(values)["tau"].tolist() == tau(values.sort_values(["sampler", "value"]))["tau"].tolist()


def test_one_seed_gives_tau_without_an_interval():
    found = tau(scores(np.random.default_rng(6), 0.01, seeds=1))
    assert found["tau"].tolist() == [1, -1, -1]
    assert found[["low", "high"]].isna().all().all()


def test_tau_of_the_arms_that_both_samplers_scored():
    values = scores(np.random.default_rng(7), 0.01)
    gone = values[~((values["sampler"] == "heun") & (values["arm"].isin(["a", "b"])))]
    assert tau(gone).set_index(["first", "second"]).loc[("euler", "heun"), "tau"] == 1
    one_left = values[(values["sampler"] != "heun") | (values["arm"] == "a")]
    assert tau(one_left).set_index(["first", "second"]).loc[("euler", "heun")].isna().all()


def test_a_missing_seed_does_not_spoil_the_others():
    values = scores(np.random.default_rng(8), 0.01)
    assert tau(values.drop(index=[0, 9]))["tau"].tolist() == [1, -1, -1]


def test_one_level_has_no_pair():
    values = scores(np.random.default_rng(9), 0.01)
    assert tau(values[values["sampler"] == "heun"]).empty


def test_score_at_infinity_is_the_intercept_in_one_over_n():
    n = np.array([500, 1000, 2000, 5000])
    exact = at_infinity(n, 3 + 700 / n)
    assert (exact.value, exact.low, exact.high, exact.n) == pytest.approx((3, 3, 3, 4), abs=1e-5)


def test_score_at_infinity_from_two_sizes_has_no_interval():
    found = at_infinity([1000, 2000], [3.7, 3.35])
    assert found.value == pytest.approx(3)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_intervals_at_infinity_cover_the_truth():
    rng = np.random.default_rng(10)
    n = np.array([500, 700, 1000, 2000, 5000])
    found = [at_infinity(n, 3 + 700 / n + rng.normal(size=5) / 10) for _ in range(1000)]
    assert 0.93 <= np.mean([i.low < 3 < i.high for i in found]) <= 0.97


@pytest.mark.parametrize(
    ("n", "values", "text"),
    [
        ([1000, 1000], [3.0, 3.1], "two different"),
        ([1000, 2000], [3.0], "2 sizes, 1 scores"),
        ([0, 2000], [3.0, 3.1], "at least 1"),
        ([1000, 2000], [3.0, math.nan], "finite"),
    ],
)
def test_sizes_that_cannot_go_to_infinity_are_refused(n, values, text):
    with pytest.raises(UserError, match=text):
        at_infinity(n, values)


def drawn(rng, seeds, draws, shared=0.0, retraining=3.2, resampling=1.0):
    """Scores of one arm; `shared` is what a sampling seed does to all networks alike."""
    networks = retraining * rng.normal(size=(seeds, 1)) + shared * rng.normal(size=(1, draws))
    table = 100 + networks + resampling * rng.normal(size=(seeds, draws))
    frame = pd.DataFrame(table).stack().rename("value").rename_axis(["seed", "sampling_seed"]).reset_index()
    return frame.assign(arm="a")


def one(values):
    return spreads(values).iloc[0]


def test_spreads_of_a_large_table():
    found = one(drawn(np.random.default_rng(11), 2000, 3))
    assert found["retraining"] == pytest.approx(3.2, rel=0.05)
    assert found["resampling"] == pytest.approx(1, rel=0.05)
    assert found["ratio"] == pytest.approx(found["retraining"] / found["resampling"])
    assert found["cv"] == pytest.approx(found["retraining"] / 100, rel=0.01)
    assert (found["seeds"], found["sampling_seeds"]) == (2000, 3)


@pytest.mark.parametrize("shared", [0.0, 4.0])
def test_resampling_is_taken_out_of_retraining(shared):
    rng = np.random.default_rng(12)
    found = [one(drawn(rng, 8, 2, shared, retraining=1.0))["retraining"] ** 2 for _ in range(150)]
    assert np.mean(found) == pytest.approx(1, abs=0.2)


def test_one_sampling_seed_gives_retraining_alone():
    values = drawn(np.random.default_rng(13), 5, 1)
    found = one(values)
    assert found["retraining"] == pytest.approx(values["value"].std())
    assert found[["resampling", "ratio"]].isna().all()


def test_one_training_seed_gives_resampling_alone():
    values = drawn(np.random.default_rng(14), 1, 5)
    found = one(values)
    assert found["resampling"] == pytest.approx(values["value"].std())
    assert found[["retraining", "ratio", "cv"]].isna().all()


def test_spreads_of_an_incomplete_table():
    values = pd.DataFrame(
        [("a", 0, 0, 10.0), ("a", 0, 1, 12.0), ("a", 1, 0, 20.0), ("b", 0, 0, 1.0)],
        columns=["arm", "seed", "sampling_seed", "value"],
    )
    found = spreads(values)
    assert found["arm"].tolist() == ["a", "b"]
    assert found["resampling"][0] == pytest.approx(math.sqrt(2))
    assert found["retraining"][0] == pytest.approx(math.sqrt(81 / 2 - 2 * (1 / 2 + 1) / 2))
    assert found["retraining"].isna().tolist() == [False, True]


def test_networks_that_do_not_differ_have_no_retraining_spread():
    values = drawn(np.random.default_rng(15), 4, 2, retraining=0.0, resampling=0.0)
    found = one(values)
    assert (found["retraining"], found["resampling"], math.isnan(found["ratio"])) == (0, 0, True)


def test_bad_frames_are_refused():
    values = drawn(np.random.default_rng(16), 3, 2)
    with pytest.raises(UserError, match="missing: sampling_seed"):
        spreads(values.drop(columns="sampling_seed"))
    with pytest.raises(UserError, match="come again"):
        spreads(pd.concat([values, values[:1]]))
    with pytest.raises(UserError, match="finite"):
        spreads(values.assign(value=math.nan))
    with pytest.raises(UserError, match="missing: sampler"):
        tau(values)


def test_only_noise_that_networks_share_moves_them_alike():
    """Sampling 1 scores 2 more than sampling 0: where networks share it, that does not spread their means."""
    rows = [("a", seed, i, 10.0 * seed + 2 * i) for seed in range(4) for i in range(2)]
    values = pd.DataFrame(rows, columns=["arm", "seed", "sampling_seed", "value"])
    shared = one(values)
    own = one(values.assign(sampling_seed=1000 * values["seed"] + values["sampling_seed"]))
    between = pd.Series([0.0, 10.0, 20.0, 30.0]).var()
    assert shared["retraining"] == pytest.approx(math.sqrt(between))
    assert own["retraining"] == pytest.approx(math.sqrt(between - 2 / 2))  # of variance 2, over 2 samplings
    assert own["resampling"] == shared["resampling"] == pytest.approx(math.sqrt(2))
    assert own["sampling_seeds"] == shared["sampling_seeds"] == 2
