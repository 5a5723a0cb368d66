"""The chart view of a study: what is stored, and what MLflow's own pages make of it in a browser."""

import base64
import json
import zlib
from dataclasses import replace

import pytest
from browser import CHROMIUM, browser_fixture, experiment_id, server_fixture  # noqa: F401  fixtures
from commands import TWO_RUNS, two_runs_fixture  # noqa: F401  a fixture
from mirrors import client_fixture, tables_fixture  # noqa: F401  fixtures

from experiments.records.definition import ArmRecord, Definition, Endpoint, write_definition
from experiments.records.mlflow_names import TAG_LENGTH
from experiments.records.mlflow_store import connect
from experiments.records.mlflow_view import TAG, write_view

SAMPLERS = [f"{name}:grid=uniform,steps={steps}" for name, steps in (("euler", 4), ("euler", 2), ("heun", 2))]
ENDPOINT = Endpoint(
    metric="fd_digits", extractor="digits", sampler=SAMPLERS[1], guidance="cfg:weight=1", ema="0.9", n=100,
    train_step=40, better="lower",
)  # fmt: skip
ARMS = ["none", "rope2d:theta=100"]


def definition(**changes):
    made = Definition(
        name=TWO_RUNS, kind="ablate", created=1.8e9, preset="smoke", data="digits", endpoint=ENDPOINT,
        arms=tuple(ArmRecord(arm, arm, {}) for arm in ARMS), seeds=(0,), samplers=tuple(SAMPLERS),
        guidances=("cfg:weight=1",), sampling_seeds=2, baseline="none", margin=0.02,
        comparisons=(("rope2d:theta=100", "none"),), planned_seeds=1,
    )  # fmt: skip
    return replace(made, **changes)


def stored(client, experiment):
    text = client.get_experiment(experiment).tags[TAG]
    assert len(text) <= TAG_LENGTH
    return json.loads(zlib.decompress(base64.b64decode(text.removeprefix("deflate;"))))


def charts(view, section):
    """Type and metrics of each chart in a section."""
    uuid = view["compareRunSections"][section]["uuid"]
    mine = [chart for chart in view["compareRunCharts"] if chart["metricSectionId"] == uuid]
    return [(chart["type"], chart.get("selectedMetricKeys", [chart["metricKey"]])) for chart in mine]


def run_with(client, experiment, *keys):
    run = client.create_run(experiment, tags={"arm": "none"}).info.run_id
    client.log_param(run, "eval.every_n", "50")
    for key in keys:
        client.log_metric(run, key, 1.0, step=20)


def test_a_view_names_the_metrics_that_runs_log(client):
    experiment = client.create_experiment("views")
    run_with(client, experiment, "fd_digits_n50/euler-2-cfg1", "fd_digits_n200/euler-2-cfg1", "train/loss",
             "system/peak_memory_mib")  # fmt: skip
    place = write_view(client, experiment, definition())
    view = stored(client, experiment)
    assert place == (
        f"/#/experiments/{experiment}/runs?compareRunsMode=CHART&viewStateShareKey=study"
        "&workflowType=machine_learning"
    )
    assert charts(view, 0) == [("LINE", ["fd_digits_n50/euler-2-cfg1"]), ("BAR", ["fd_digits/euler-2-cfg1"])]
    assert charts(view, 1) == [
        ("LINE", ["by_nfe/fd_digits/euler-cfg1", "by_nfe/fd_digits/heun-cfg1"]),
        ("BAR", ["fd_digits/euler-4-cfg1"]),
        ("BAR", ["fd_digits/heun-2-cfg1"]),
    ]
    assert charts(view, 2) == [("LINE", ["train/loss"]), ("LINE", ["train/images_per_second"])]
    loss = next(chart for chart in view["compareRunCharts"] if chart["metricKey"] == "train/loss")
    assert loss["scaleType"] == "log"
    folded = [section["name"] for section in view["compareRunSections"] if not section["display"]]
    assert folded == ["System metrics", "fd_digits_n200", "fd_digits_n50", "train"]


def test_writing_a_view_again_changes_nothing(client):
    experiment = client.create_experiment("views")
    place = write_view(client, experiment, definition())
    before = dict(client.get_experiment(experiment).tags)
    assert write_view(client, experiment, definition()) == place
    assert client.get_experiment(experiment).tags == before


@pytest.mark.parametrize("keys", [None, ["train/loss"]], ids=["no run", "no score"])
def test_a_view_can_be_written_before_any_score(client, keys):
    experiment = client.create_experiment("views")
    if keys:
        run_with(client, experiment, *keys)
    write_view(client, experiment, definition())
    assert charts(stored(client, experiment), 0)[0] == ("LINE", ["fd_digits/euler-2-cfg1"])


@pytest.mark.parametrize(
    ("guidance", "slug"),
    [("1.5", "cfg1.5"), ("cfg:weight=3", "cfg3"), ("cfg:begin=0.2,end=0.9,weight=3", "cfg3-0.2to0.9")],
)
def test_a_view_names_the_guidance_of_the_endpoint_and_its_first_sampling(client, guidance, slug):
    experiment = client.create_experiment("views")
    end = replace(ENDPOINT, guidance=guidance, samplings=2)
    write_view(client, experiment, definition(endpoint=end))
    view = stored(client, experiment)
    assert ("BAR", [f"fd_digits/euler-2-{slug}"]) in charts(view, 0)
    assert f"by_nfe/fd_digits/heun-{slug}" in charts(view, 1)[0][1]


def test_a_view_of_many_samplers_fits_into_a_tag(client):
    many = [f"{s}:grid={g},steps={n}" for s in ("euler", "heun", "rk4") for g in ("shifted", "uniform")
            for n in range(3, 103, 7)]  # fmt: skip
    experiment = client.create_experiment("views")
    run_with(client, experiment, *(f"metric-{i}-{'x' * 60}/key" for i in range(100)))
    write_view(client, experiment, definition(samplers=tuple(many)))
    assert len(charts(stored(client, experiment), 1)) == 12


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
def test_the_view_opens_with_its_charts(server, browser, two_runs):
    client = connect(f"sqlite:///{two_runs}/mlflow.db")
    write_definition(client, experiment_id(two_runs), definition())
    place = write_view(client, experiment_id(two_runs), definition())
    address = server.partition("/#")[0] + place
    sections = ("Primary endpoint: fd_digits of 100 pictures", "Samplers: against evaluations", "Training")
    browser.open(address, *sections, size=(1600, 2200))
    plots = "[...document.querySelectorAll('.js-plotly-plot')]"
    browser.until(f"{plots}.length == 7 && {plots}.every(p => p.data.length)")
    bars = "document.querySelectorAll('.js-plotly-plot .barlayer path').length"
    browser.until(f"{bars} == {3 * len(ARMS)}")
    browser.screenshot("study-view")
    shown = browser.text()
    for text in ("fd_digits/euler-4-cfg1", "fd_digits_n50/euler-2-cfg1", "train/loss"):
        assert text in shown
    for arm in ARMS:
        assert f"Group: {arm}" in shown
    types = "[p.layout.xaxis.type, p.layout.yaxis.type].join()"
    axes = browser.run(f"{plots}.map(p => {types}).join(' ')").split()
    assert axes[2].startswith("log")  # against NFE
    assert axes[5].endswith("log")  # training loss
