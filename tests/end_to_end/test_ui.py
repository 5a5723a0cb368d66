"""MLflow's own pages in a real browser: what a user sees after `mlflow ui` in the folder of two runs."""

import json

import pytest
from browser import CHROMIUM, VIEW, browser_fixture, experiment_id, server_fixture  # noqa: F401  fixtures
from commands import TWO_RUNS, two_runs_fixture  # noqa: F401  a fixture
from PIL import Image

from analysis import load

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def runs(two_runs):
    return load.runs(TWO_RUNS, f"sqlite:///{two_runs}/mlflow.db")


def test_the_table_shows_both_runs(server, browser, runs):
    browser.open(f"{server}/runs?{VIEW}", *runs["name"], "2 matching runs")
    assert TWO_RUNS in browser.text()
    browser.screenshot("runs-table")


@pytest.mark.parametrize(
    ("name", "search", "charts", "size"),
    [
        ("curves", "^train/(loss|images_per_second)$|^fd_digits_n50/", 3, (1600, 1000)),
        ("score-against-steps", "^(fd|kid|precision|recall)_digits_n50/", 4, (1600, 1900)),
        ("score-against-nfe", "^by_nfe/(fd|precision)_digits/(euler|heun)-cfg1$", 4, (1600, 1900)),
    ],
)
def test_charts_compare_the_runs(server, browser, runs, name, search, charts, size):
    browser.open(f"{server}/runs?compareRunsMode=CHART&{VIEW}", *runs["name"], size=size)
    box = "document.querySelector('input[placeholder=\"Search metric charts\"]')"
    browser.until(f"!!{box}")
    browser.run(f"{box}.focus(), {box}.select()")  # it remembers the last search
    browser.call("Input.insertText", text=search)
    plots = "[...document.querySelectorAll('.js-plotly-plot')]"
    named = f"JSON.stringify({plots}.map(p => [...new Set(p.data.map(d => d.name))].sort()))"
    browser.until(
        f"{named} == {json.dumps(json.dumps([sorted(runs['name'])] * charts, separators=(',', ':')))}"
    )
    browser.until(f"{plots}.every(p => p.querySelectorAll('path.js-line').length)")
    browser.screenshot(name)
    points = browser.run(f"{plots}.flatMap(p => p.data.map(d => d.x.length))")
    assert min(points) >= 2  # curves, not dots


def test_a_sample_grid_opens_from_the_artifacts(server, browser, runs, two_runs):
    run = runs.iloc[-1]
    grid = sorted((two_runs / "runs" / run["name"] / "pictures").glob("*.png"))[-1]
    browser.open(
        f"{server}/runs/{run['run_id']}/artifacts/pictures/{grid.name}?{VIEW}", "scores.csv", grid.name
    )
    with Image.open(grid) as picture:
        width, height = picture.size
    shown = f"i.naturalWidth == {width} && i.naturalHeight == {height}"
    browser.until(f"[...document.querySelectorAll('img')].some(i => {shown})")
    browser.screenshot("sample-grid")


def test_the_overview_says_what_the_run_was(server, browser, runs):
    run = runs.iloc[-1]
    browser.open(f"{server}/runs/{run['run_id']}?{VIEW}", run["name"], "Finished", "train/loss", "git_commit")
    browser.screenshot("overview")
