"""The secondary endpoint best_guidance is declared before the first run, sealed, and kept ever after."""

from pathlib import Path

import pytest
from studies import plan_of

from experiments.config.study import StudyConfig, study
from experiments.config.tuning import Range
from experiments.coordinator.ablate import announcement
from experiments.coordinator.plan import Plan
from experiments.coordinator.plan_ablation import plan_ablation
from experiments.coordinator.tuning.tune import plan_tuning
from experiments.records.sealing.fields import sealable, unlike_its_chain
from rope_dit.errors import UserError

ONE, THREE = "cfg:begin=0,end=1,weight=1", "cfg:begin=0,end=1,weight=3"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.chdir(tmp_path)


def asked(*secondary: str, guidances=(1.0, 3.0), sampling_seeds=2, **more) -> StudyConfig:
    """A small study that is scored so."""
    scored = {"guidances": guidances, "sampling_seeds": sampling_seeds, "n": (100,), "every": 0}
    return study("smoke", name="s", variants=("none", "learned"), seeds=1, eval=scored,
                 secondary=secondary, **more)  # fmt: skip


def planned(config: StudyConfig) -> Plan:
    plan, _ = plan_ablation(config)
    plan.save()
    return plan


def test_what_each_arm_may_choose_is_sealed_before_the_first_run():
    plan = planned(asked("best_guidance"))
    average = plan.endpoint().ema
    assert plan.best_guidance == ((ONE, average), (THREE, average))
    assert plan.chain[0].says["best guidance"] == f"{ONE}:{average} {THREE}:{average}"
    assert plan_of(Path(), "s").definition() == plan.definition()
    assert not unlike_its_chain(plan_of(Path(), "s").definition())
    assert "secondary endpoint: each arm at the best of 2 choices" in announcement(plan, 2, 2, 1.0)


def test_a_study_without_it_is_sealed_as_it_always_was():
    plan = planned(asked())
    assert plan.best_guidance == ()
    assert "best guidance" not in sealable(plan.definition())
    assert "secondary" not in announcement(plan, 2, 2, 1.0)


def test_guidances_that_are_added_later_are_not_among_the_choices():
    first = planned(asked("best_guidance"))
    for config in (asked(guidances=(1.0, 3.0, 5.0)), asked("best_guidance", guidances=(1.0, 3.0, 5.0))):
        grown = planned(config)
        assert len(grown.base.eval.guidances) == 3
        assert grown.best_guidance == first.best_guidance
        assert grown.chain == first.chain


def test_averages_are_choices_too():
    plan = planned(
        asked("best_guidance", guidances=(1.0,), train={"averages": ("warmup", "constant:decay=0.5")})
    )
    assert [guidance for guidance, _ in plan.best_guidance] == [ONE, ONE]
    assert len({average for _, average in plan.best_guidance}) == 2


def test_it_cannot_be_declared_once_the_study_has_begun():
    planned(asked())
    with pytest.raises(UserError, match="holds another study") as caught:
        planned(asked("best_guidance"))
    assert caught.value.details == ("secondary: there none, now best_guidance",)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"guidances": (3.0,)}, "two or more of eval.guidances or eval.averages"),
        ({"sampling_seeds": 1}, "eval.sampling-seeds of 2 or more"),
    ],
)
def test_it_is_refused_where_nothing_can_be_chosen_apart(change, expected, tmp_path):
    with pytest.raises(UserError, match=f"secondary got 'best_guidance', expected {expected}"):
        planned(asked("best_guidance", **change))
    assert not list(tmp_path.iterdir())


def test_other_endpoints_and_tunings_are_refused():
    with pytest.raises(UserError, match="secondary"):
        asked("best_sampler")
    with pytest.raises(UserError, match="each endpoint once"):
        asked("best_guidance", "best_guidance")
    with pytest.raises(UserError, match="no verdicts are drawn from a tuning"):
        plan_tuning(asked("best_guidance"), {"train.lr": Range(1e-4, 1e-2)})
