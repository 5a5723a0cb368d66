"""The primary endpoint is chosen before the first run, held against what is scored, and kept ever after."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from studies import QUICK, call_study, plan_of, trials_of, unsealed_json

from analysis import load
from experiments.config.endpoint import EndpointConfig
from experiments.config.study import StudyConfig, study
from experiments.config.text import from_json, to_json
from experiments.config.tuning import Range
from experiments.coordinator.endpoint import check_floor
from experiments.coordinator.plan import read_plan
from experiments.coordinator.plan_ablation import plan_ablation
from experiments.coordinator.tuning.tune import plan_tuning
from experiments.records.definition import Endpoint, read_definition
from experiments.records.mlflow_store import connect
from experiments.scoring.extractors.classifier_file import WEIGHTS
from experiments.scoring.jobs import curve_jobs
from rope_dit.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
EULER, HEUN = "euler:grid=uniform,steps=1", "heun:grid=uniform,steps=1"
SCORED = {"samplers": (EULER, HEUN), "guidances": (3.0, 1.0), "n": (100, 80), "every": 0}
WHOLE = {"metric": "recall", "extractor": "digits", "sampler": "heun:steps=1",
         "guidance": "cfg:weight=3", "n": 80}  # fmt: skip
SPACE = {"train.lr": Range(1e-4, 1e-2)}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.chdir(tmp_path)


def asked(**endpoint) -> StudyConfig:
    """A small study with this endpoint."""
    return study("smoke", name="s", variants=("none", "learned"), seeds=1, eval=SCORED, endpoint=endpoint)


def planned(config: StudyConfig, save: bool = False) -> Endpoint:
    plan, _ = plan_ablation(config)
    if save:
        plan.save()
    return plan.endpoint()


def test_without_a_choice_it_is_as_it_always_was():
    end = planned(asked())
    assert (end.metric, end.better, end.extractor) == ("fd_digits", "lower", "digits")
    assert (end.sampler, end.n, end.train_step) == (EULER, 100, 20)
    assert end.guidance == "cfg:begin=0,end=1,weight=1"


def test_every_part_can_be_chosen():
    end = planned(asked(**WHOLE))
    assert (end.metric, end.better, end.extractor) == ("recall_digits", "higher", "digits")
    assert (end.sampler, end.n) == (HEUN, 80)
    assert end.guidance == "cfg:begin=0,end=1,weight=3"


def test_what_is_chosen_comes_first_so_that_curves_follow_it():
    plan, _ = plan_ablation(asked(**WHOLE))
    for cell in plan.cells():
        config = cell.config.eval
        assert [str(spec) for spec in config.sampler_specs] == [HEUN, EULER]
        assert [spec.short for spec in config.guidance_specs] == ["3", "1"]
        assert config.n == (80, 100)


def test_without_a_choice_the_curve_is_drawn_under_the_endpoint_s_guidance_too():
    plan, _ = plan_ablation(asked())
    end = plan.endpoint()
    for cell in plan.cells():
        [job] = curve_jobs(cell.config)
        assert (str(job.sampler), str(job.guidance)) == (end.sampler, end.guidance)


def test_a_record_of_before_keeps_its_endpoint_whatever_was_first_there():
    first = planned(asked(), save=True)
    file = Path("studies/s/study.json")
    saved = unsealed_json(file)
    saved["base"]["eval"]["guidances"] = ["cfg:weight=3", "cfg:weight=1"]  # as it was asked for
    file.write_text(json.dumps(saved))
    plan, there = plan_ablation(asked())[0], plan_of(Path(), "s")
    assert plan.endpoint() == there.endpoint() == first
    assert {str(curve_jobs(cell.config)[0].guidance) for cell in (*plan.cells(), *there.cells())} == {
        first.guidance
    }


@pytest.mark.parametrize(
    ("begun", "more", "endpoint"),
    [((3.0,), (1.0, 3.0), {}), ((3.0,), (1.0,), {"guidance": "3"}), ((1.0,), (3.0, 1.0), {})],
)
def test_a_guidance_that_is_added_does_not_become_the_endpoint_s(begun, more, endpoint):
    first = planned(study("smoke", name="s", seeds=1, eval={**SCORED, "guidances": begun}), save=True)
    grown = study("smoke", name="s", seeds=1, eval={**SCORED, "guidances": more}, endpoint=endpoint)
    planned(grown, save=True)
    assert plan_of(Path(), "s").endpoint() == planned(asked()) == first
    assert len(plan_of(Path(), "s").base.eval.guidances) == 2


@pytest.mark.parametrize("metric", ["kid", "kid_digits", "precision", "is"])
def test_a_metric_goes_by_either_name(metric):
    assert planned(asked(metric=metric)).metric.removesuffix("_digits") == metric.removesuffix("_digits")


@pytest.mark.parametrize(
    ("endpoint", "says"),
    [
        (
            {"metric": "fdd"},
            "endpoint.metric got 'fdd', expected one of coverage, density, fd, is, kid, nearest_ratio, "
            "nearest_share, precision, recall, seam, swd. Did you mean",
        ),
        ({"metric": "fid"}, "endpoint.metric got 'fid', expected one of coverage"),
        (
            {"extractor": "cifar10"},
            "endpoint.extractor got 'cifar10', expected digits, with which this study",
        ),
        ({"sampler": "rk4:steps=1"}, "endpoint.sampler got rk4:grid=uniform,steps=1, expected one of those"),
        ({"sampler": "heun:steps=2"}, f"that are scored: {EULER}, {HEUN}."),
        ({"sampler": "hoin"}, "unknown sampler 'hoin'"),
        ({"guidance": "cfg:weight=2"}, "endpoint.guidance got cfg:begin=0,end=1,weight=2, expected one of"),
        ({"guidance": "strong"}, "unknown guidance 'strong'"),
        ({"n": 90}, "endpoint.n got 90, expected one of those that are scored: 100, 80."),
        ({"n": -1}, "endpoint.n got -1"),
    ],
)
def test_what_is_not_scored_is_refused(endpoint, says, tmp_path):
    with pytest.raises(UserError) as refused:
        planned(asked(**endpoint))
    assert says in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_few_pictures_are_refused_for_a_frechet_distance_alone():
    few = study("smoke", name="s", seeds=1, eval={**SCORED, "n": (100, 20)})
    with pytest.raises(UserError, match=r"eval.n got 20, expected more than the 64 features of digits"):
        plan_ablation(replace_endpoint(few, n=20))
    with pytest.raises(UserError, match="below, fd_digits says little"):
        plan_ablation(replace_endpoint(few, n=20))
    assert planned(replace_endpoint(few, n=20, metric="kid")).n == 20


def test_a_margin_from_a_floor_that_cannot_be_told_is_refused_before_the_first_run():
    """360 held-out digits are enough for their 64 features, and would not be for 181."""
    first = plan_ablation(asked())[0]
    enough, few = (SimpleNamespace(name="mine", dim=dim) for dim in (180, 181))
    many = replace(first, base=replace(first.base, eval=replace(first.base.eval, n=(1000,))))
    check_floor(many, enough, 360)
    with pytest.raises(UserError) as refused:
        check_floor(many, few, 360)
    assert str(refused.value) == (
        "the margin is a share of the baseline's distance from the real floor, and fd_digits of 1,000 real "
        "pictures cannot be told from 360 held-out ones: that takes 362, twice the features of mine. Give it "
        "in units of fd_digits: --margin X --margin-unit absolute."
    )
    check_floor(many, few, 1000)  # it is measured
    check_floor(replace(many, margin_unit="absolute"), few, 360)
    check_floor(replace(many, chosen=EndpointConfig(metric="kid")), few, 360)


def test_new_studies_alone_are_held_to_it(monkeypatch):
    monkeypatch.setattr("experiments.scoring.floors.RANK", 100)
    few = study("smoke", name="s", seeds=1, eval={**SCORED, "n": (1000,)})
    with pytest.raises(UserError, match="the margin is a share"):
        plan_ablation(few)
    monkeypatch.undo()
    planned(few, save=True)
    monkeypatch.setattr("experiments.scoring.floors.RANK", 100)
    assert planned(few).n == 1000


def replace_endpoint(config: StudyConfig, **endpoint) -> StudyConfig:
    return StudyConfig(**{**vars(config), "endpoint": EndpointConfig(**endpoint)})


def test_the_same_command_without_it_goes_on_with_it():
    first = planned(asked(**WHOLE), save=True)
    assert planned(asked()) == first
    assert planned(asked(**WHOLE)) == first
    assert planned(asked(sampler=HEUN)) == first


def test_a_study_grows_and_keeps_its_endpoint():
    first = planned(asked(**WHOLE), save=True)
    more = study("smoke", name="s", variants=("none",), seeds=2,
                 eval={**SCORED, "samplers": ("rk4:steps=1",), "guidances": (1.0,)})  # fmt: skip
    plan, _ = plan_ablation(more)
    assert plan.endpoint() == first
    assert len(plan.base.eval.sampler_specs) == 3
    plan.save()
    assert plan_of(Path(), "s").endpoint() == first


@pytest.mark.parametrize("begun", [{}, WHOLE])
@pytest.mark.parametrize(
    ("endpoint", "field"),
    [
        ({"metric": "kid"}, "endpoint metric: there "),
        ({"sampler": "rk4:steps=1"}, "endpoint sampler: there "),
        ({"guidance": "cfg:weight=7"}, "endpoint guidance: there "),
        ({"n": 90}, "endpoint n: there "),
    ],
)
def test_another_endpoint_is_another_study(begun, endpoint, field):
    more = {
        **SCORED,
        "samplers": (EULER, HEUN, "rk4:steps=1"),
        "guidances": (3.0, 1.0, 7.0),
        "n": (100, 80, 90),
    }
    config = study("smoke", name="s", variants=("none",), seeds=1, eval=more, endpoint=begun)
    planned(config, save=True)
    with pytest.raises(UserError, match="holds another study") as refused:
        planned(replace_endpoint(config, **endpoint))
    assert any(field in line for line in refused.value.details)


def test_an_older_record_has_the_usual_endpoint():
    first = planned(asked(), save=True)
    file = Path("studies/s/study.json")
    saved = unsealed_json(file)
    assert saved.pop("chosen") == asdict(EndpointConfig())
    file.write_text(json.dumps(saved))
    plan = read_plan(file.parent)
    assert plan is not None
    assert plan.endpoint() == planned(asked()) == first
    with pytest.raises(UserError, match="holds another study"):
        planned(asked(metric="recall"))


def test_an_extractor_is_known_by_what_it_is_and_not_by_how_it_is_named():
    Path("a").mkdir()
    for place in ("mine.safetensors", "a/mine.safetensors"):
        Path(place).write_bytes((WEIGHTS / "digits.safetensors").read_bytes())
    for i, spec in enumerate(("mine.safetensors", "file:a/mine.safetensors")):
        config = study(
            "smoke", name="s", seeds=1, eval={**SCORED, "extractor": spec}, endpoint={"extractor": spec}
        )
        assert planned(config, save=i == 0).metric == "fd_mine"
    with pytest.raises(UserError, match="holds another study"):
        planned(asked())


def test_tuning_scores_the_endpoint_alone():
    plan, _, _ = plan_tuning(asked(**WHOLE), SPACE)
    assert [str(spec) for spec in plan.base.eval.sampler_specs] == [HEUN]
    assert [spec.short for spec in plan.base.eval.guidance_specs] == ["3"]
    assert (plan.base.eval.n, plan.endpoint().metric) == ((80,), "recall_digits")
    plan.save()
    assert plan_tuning(asked(), SPACE)[0].endpoint() == plan.endpoint()
    assert (
        plan_tuning(study("smoke", name="t", eval=SCORED), SPACE)[0].endpoint().guidance.endswith("weight=1")
    )


def test_what_was_tuned_is_confirmed_at_the_same_endpoint():
    config = asked(**WHOLE)
    assert from_json(StudyConfig, to_json(config)).endpoint == config.endpoint
    older = to_json(config)
    del older["endpoint"]
    assert from_json(StudyConfig, older).endpoint == EndpointConfig()


@pytest.mark.slow
def test_a_study_of_what_is_better_the_higher_it_is(tmp_path):
    """From the command to the report: the announcement, Optuna, the store, verdicts and figures."""
    args = ("smoke", *QUICK, "--endpoint.metric", "recall", "--endpoint.sampler", "heun:steps=1")
    arms = ("--variants", "none", "--arms", "slow=none;train.lr=1e-9", "--seeds", 2, "--name", "r")
    result = call_study(*args, *arms)
    assert result.code == 0, result.err
    assert f"primary endpoint: recall_digits (higher is better), sampler {HEUN}" in result.out
    again = call_study("smoke", *QUICK, *arms)
    assert again.code == 0, again.err
    assert "4 runs, 4 of them done" in again.out
    definition = read_definition(connect(f"sqlite:///{tmp_path}/mlflow.db"), "r")
    assert definition is not None
    assert (definition.endpoint.metric, definition.endpoint.better) == ("recall_digits", "higher")
    scores = load.scores("r", f"sqlite:///{tmp_path}/mlflow.db")
    rows = scores[(scores["metric"] == "recall_digits") & (scores["sampler"] == HEUN)]
    values = {(row.arm, row.seed): row.value for row in rows.itertuples()}
    assert {(t[1]["arm"], t[1]["seed"]): t[2] for t in trials_of(tmp_path, "r")} == values
    [optuna_study] = optuna.get_all_study_summaries(f"sqlite:///{tmp_path}/studies/r/optuna.db")
    assert optuna_study.direction.name == "MAXIMIZE"
    text = Path("reports/r/report.md").read_text()
    assert "Recall (digits) (higher is better)" in text
    assert "No arm has learned anything: " in text
    for name in ("seeds", "pairs"):
        assert Path(f"reports/r/figures/{name}.svg").is_file()


@pytest.mark.slow
def test_a_search_keeps_the_highest(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from experiments.config.study import study\nfrom experiments.config.tuning import Range\n"
        "STUDY = study('smoke', variants=('none',), endpoint={'metric': 'recall'})\n"
        "SPACE = {'train.lr': Range(1e-5, 1e-1, log=True)}\n"
    )
    rungs = ("--tune.trials", "4", "--tune.width", "4", "--tune.rungs", "2", "--tune.eta", "2")
    result = call_study("tune", str(file), *QUICK[:-2], "--eval.n", "100", "--name", "t", *rungs)
    assert result.code == 0, result.err
    trials = trials_of(tmp_path, "t")
    first = [trial[3][10] for trial in trials]
    kept = [trial[3][10] for trial in trials if trial[0] == "COMPLETE"]
    assert len(set(first)) > 1
    assert sorted(kept) == sorted(first)[-2:]
    [found] = json.loads((tmp_path / "studies/t/tuned.json").read_text())["arms"]
    assert found["value"] == max(trial[2] for trial in trials if trial[0] == "COMPLETE")
