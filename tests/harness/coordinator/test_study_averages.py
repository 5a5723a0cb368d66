"""Studies whose runs keep several averages: the endpoint is of the first, and what is scored only grows."""

import csv

import pytest
from commands import snapshot, timeless
from studies import QUICK, call_study, copied_study, made_study, plan_of, trials_of

from experiments.config.canonical import canonical, keeping, scoring
from experiments.config.presets import PRESETS
from rope_dit.errors import UserError

SMALL = ("smoke", *QUICK[:4], "--samplers", "euler:steps=1", "--eval.n", "100", "--seeds", "1", "--name", "a")
BOTH = ("warmup:decay=0.9", "power:std=0.2")
NAMES = ("0.9", "power-std0.2")
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a finished study `a`; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("averages")
    made_study(folder, *SMALL, "--train.averages", *BOTH, report=True)
    return folder


@pytest.fixture
def copy(finished, tmp_path, monkeypatch):
    return copied_study(finished, tmp_path, monkeypatch)


def distances(folder, cell=0):
    """Value of each average in a cell's scores."""
    rows = timeless(plan_of(folder, "a").cells()[cell].folder.path)
    return {row["ema"]: float(row["value"]) for row in rows if row["metric"] == "fd_digits"}


def table_of(folder):
    with open(folder / "reports" / "a" / "averages.csv", newline="") as file:
        return [(row["average"], row["arm"], float(row["mean"])) for row in csv.DictReader(file)]


def test_all_are_scored_and_the_first_is_the_endpoint(finished):
    plan = plan_of(finished, "a")
    assert (plan.endpoint().ema, plan.base.averages) == ("0.9", NAMES)
    scored = [distances(finished, cell) for cell in range(2)]
    assert [[*values] for values in scored] == [[*NAMES]] * 2
    assert [trial[2] for trial in trials_of(finished, "a")] == [values["0.9"] for values in scored]


def test_the_report_is_of_the_endpoint_s_and_has_a_table_of_the_others(finished):
    expected = [(name, arm, distances(finished, i)[name]) for name in NAMES for i, arm in enumerate(
        ("learned", "rope2d"))]  # fmt: skip
    assert table_of(finished) == expected
    with open(finished / "reports" / "a" / "endpoint.csv", newline="") as file:
        assert [float(row["value"]) for row in csv.DictReader(file)] == [row[2] for row in expected[:2]]
    assert "Averages of the weights" in (finished / "reports" / "a" / "index.html").read_text()


@pytest.mark.parametrize(
    "asked",
    [
        (),
        *(
            pytest.param(("--train.averages", *names), marks=pytest.mark.slow)
            for names in (BOTH[1:], BOTH[::-1])
        ),
    ],
)
def test_asked_for_with_fewer_the_study_keeps_what_it_has(copy, asked):
    before = snapshot(copy / "studies" / "a" / "runs")
    again = call_study(*SMALL, *asked)
    assert (again.code, "2 runs, 2 of them done" in again.out) == (0, True), again.err
    assert snapshot(copy / "studies" / "a" / "runs") == before
    plan = plan_of(copy, "a")
    assert (plan.base.train.averages, plan.base.averages, plan.endpoint().ema) == (BOTH, NAMES, "0.9")


def test_one_that_it_does_not_keep_is_refused_by_name(copy):
    before = snapshot(copy)
    refused = call_study(*SMALL, "--train.averages", BOTH[0], "constant")
    assert refused.code == 2
    assert "did not keep 'constant' from its start; it has 0.9, power-std0.2" in refused.err
    assert snapshot(copy) == before


@pytest.mark.slow
def test_it_grows_by_raw_weights(copy):
    grown = call_study(*SMALL, "--eval.averages", BOTH[0], "raw")
    assert grown.code == 0, grown.err
    assert plan_of(copy, "a").base.averages == (*NAMES, "raw")
    assert [*distances(copy)] == [*NAMES, "raw"]
    assert {name for name, *_ in table_of(copy)} == {*NAMES, "raw"}


def test_the_endpoint_s_average_must_be_scored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = call_study(*SMALL, "--eval.averages", "raw", "--dry-run")
    assert refused.code == 2
    assert "eval.averages got 'raw', expected 0.9, the first of train.averages" in refused.err


def test_settings_of_what_keeps_averages():
    base = canonical(PRESETS["smoke"])
    assert keeping(base, ["warmup:decay=0.9"], "it") == base
    kept = keeping(base, BOTH[::-1], "it")
    assert (kept.train.averages, kept.eval.averages) == (BOTH[::-1], BOTH[:1])
    assert (kept.main_average, kept.averages) == ("power-std0.2", ("0.9",))
    assert scoring(kept, NAMES).eval.averages == ()
    with pytest.raises(UserError, match=r"train.averages: it did not keep '0.9' from its start; it has 0.5"):
        keeping(base, ["warmup:decay=0.5"], "it")
