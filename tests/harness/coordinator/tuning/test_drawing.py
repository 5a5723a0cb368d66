"""What a search draws: only what can be, nothing twice, the same again, and as earlier versions drew it."""

import itertools
import math
from pathlib import Path

import pytest
from optuna.trial import TrialState

from experiments.config.study import study
from experiments.config.tuning import Choice, Range
from experiments.coordinator.arm import parse_arms
from experiments.coordinator.plan import Plan
from experiments.coordinator.tuning.check_space import buildable
from experiments.coordinator.tuning.drawing import AGAIN, DRAWS, GUIDED, Candidate, Drawing
from experiments.coordinator.tuning.space import MOST, points
from experiments.datasets import load
from rope_dit.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
WIDE = {
    "train.lr": Range(1e-4, 1e-2, log=True), "train.warmup_steps": Range(1, 8, whole=True),
    "train.schedule": Choice("constant", "cosine"), "theta": Range(10, 1e4, log=True),
}  # fmt: skip
HEADS = {"model.dim": Choice(16, 24), "model.num_heads": Choice(2, 4)}  # 24 / 4 is no width for rope2d
WARM = {"train.warmup_steps": Range(1, 20, whole=True)}
SCHEDULES = {"train.schedule": Choice("constant", "cosine")}


def drawing(space, why_not=lambda arm: "", once=True, arm="rope2d", **settings) -> Drawing:
    config = study("smoke", name="t", **settings)
    arms = parse_arms([arm], config.run())
    facts = {"extractor": "digits"}
    plan = Plan(Path("x"), "tune", config.run(), arms, (1000,), arm, 0.02, (), facts, 1)
    return Drawing(plan, next(iter(arms.values())), space, why_not, once)


def real(base) -> object:
    return buildable(base, load(base.data))


def searched(one: Drawing, trials: int, width: int = 6) -> list[Candidate]:
    """Draw and tell, with scores that are made up of the settings."""
    found = []
    for first in range(0, trials, width):
        lot = [one.ask(number) for number in range(first, min(first + width, trials))]
        for candidate in lot:
            train = candidate.arm.config(one.plan.base).train
            candidate.values[10] = abs(math.log(train.lr / 1e-3)) + train.warmup_steps / 10
            if candidate.values[10] < 1.2:
                candidate.values[20] = candidate.values[10]
        one.tell(lot)
        found += lot
    return found


def texts(found: list[Candidate]) -> list[str]:
    return [str(candidate.arm).partition("=")[2] for candidate in found]


@pytest.mark.parametrize("once", [True, False])
def test_it_draws_what_earlier_versions_drew(once):
    """So that a search that they began goes on; the texts are those of the version that first wrote them."""
    assert texts(searched(drawing(WIDE, once=once), 18))[-4:] == [
        "rope2d:theta=53.2;train.lr=0.000953;train.schedule=cosine;train.warmup-steps=4",
        "rope2d:theta=331;train.lr=0.000381;train.schedule=cosine;train.warmup-steps=8",
        "rope2d:theta=1140;train.lr=0.00426;train.schedule=cosine;train.warmup-steps=1",
        "rope2d:theta=128;train.lr=0.00139;train.schedule=cosine;train.warmup-steps=1",
    ]


def test_a_combination_that_cannot_be_gives_way_to_another():
    base = study("smoke", name="t").run()
    one = drawing(HEADS, real(base))
    assert one.distinct(10) == 3
    found = searched(one, 3)
    drawn = {(c.arm.config(base).model.dim, c.arm.config(base).model.num_heads) for c in found}
    assert drawn == {(16, 2), (16, 4), (24, 2)}
    refused = [t for t in one.study.trials if t.state == TrialState.FAIL]
    assert {t.user_attrs["refused"] for t in refused} <= {AGAIN, *one.refused}
    assert one.impossible == sum("rope2d" in t.user_attrs["refused"] for t in refused)
    again = drawing(HEADS, real(base))
    assert texts(searched(again, 3)) == texts(found)
    assert [t.params for t in again.study.trials] == [t.params for t in one.study.trials]


def test_a_setting_s_own_limits_count_too():
    space = {**WARM, "train.lr": Range(1e-4, 1e-2)}
    base = study("smoke", name="t", train={"steps": 10}).run()
    one = drawing(space, real(base), train={"steps": 10})
    found = searched(one, 12)
    assert all(c.arm.config(base).train.warmup_steps <= 10 for c in found)
    assert one.impossible > 0
    assert any("train.warmup-steps got" in why for why in one.refused)


def test_nothing_is_drawn_twice_whatever_optuna_calls_it():
    one = drawing(SCHEDULES)
    assert one.distinct(6) == 2  # the default schedule is one of them
    assert texts(searched(one, 2)) == ["rope2d:theta=100", "rope2d:theta=100;train.schedule=constant"]
    near = drawing({"train.lr": Range(1, 1.02)})  # 1, 1.01 and 1.02 when written
    assert near.distinct(10) == 4
    assert len({*texts(searched(near, 4))}) == 4
    whole = drawing(WARM)
    assert whole.distinct(50) == 20
    assert len({*texts(searched(whole, 20))}) == 20


def test_the_rest_of_a_large_space_is_found():
    one = drawing({"train.warmup_steps": Range(1, 20, whole=True), "train.lr": Choice(1, 2, 3)})
    assert one.distinct(MOST) == 61  # with the default learning rate too
    found = searched(one, 61, 20)
    assert len({*texts(found)}) == 61
    drawn = [candidate.trial.number for candidate in found]
    assert max(after - before for before, after in itertools.pairwise(drawn)) == GUIDED + 1


def test_searches_of_before_draw_some_twice():
    found = texts(searched(drawing(SCHEDULES, once=False), 6, 3))
    assert len({*found}) < len(found)


def test_an_arm_without_a_setting_in_the_space_has_one_configuration():
    assert drawing({"theta": Range(10, 100)}, arm="learned").distinct(5) == 1


def test_a_space_of_which_hardly_anything_can_be_is_given_up():
    one = drawing(WIDE, lambda arm: "it is too wide" if arm.overrides else "")
    assert one.distinct(9) == 9  # nobody can try all of them
    with pytest.raises(UserError) as refused:
        searched(one, 2)
    drawn = DRAWS + 1
    assert (
        f"arm rope2d: {DRAWS} of {drawn} configurations that were drawn cannot be trained, most often"
        in str(refused.value)
    )
    assert "because it is too wide; mend SPACE." in str(refused.value)


def test_spaces_are_listed_where_they_are_small():
    assert len(points({"a": Choice(1, 2), "b": Range(3, 5, whole=True)}) or ()) == 6
    assert points({"a": Range(1, 1001, whole=True)}) is None
    assert len(points({"a": Range(1, 1000, whole=True)}) or ()) == MOST
    assert points({"a": Range(1e-4, 1, log=True)}) is None
    assert points({}) == [{}]


def test_configurations_are_numbered_as_they_are_trained():
    found = searched(drawing(WARM, lambda arm: "odd" if "=3" in str(arm) else ""), 19)
    assert [c.arm.label for c in found] == [f"rope2d-t{number:03d}" for number in range(19)]
