"""MLflow's own pages in a real browser: what a user sees after `mlflow ui` in the folder of two runs.

Set ROPE_DIT_SCREENSHOTS to a folder to keep the pictures. Chromium is driven by its debugging protocol,
over a pipe, so that a test waits for what it wants to see and not for a time.
"""

import base64
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from PIL import Image
from test_load import STUDY, two_runs  # noqa: F401  a fixture

from analysis import load

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium"),
]
VIEW = "workflowType=machine_learning"  # without it the pages are those for chat bots


class Browser:
    """A headless Chromium with one page."""

    def __init__(self, profile: Path):
        reads, self._write = os.pipe()
        self._read, writes = os.pipe()
        command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
                   "--remote-debugging-pipe", "about:blank"]  # fmt: skip
        shell = ["bash", "-c", f'exec "$@" 3<&{reads} 4>&{writes}', "bash", *command]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(shell, pass_fds=(reads, writes), start_new_session=True, **quiet)
        os.close(reads)
        os.close(writes)
        self._buffer, self._number, self._session = b"", 0, {}
        page = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = {"sessionId": attached["sessionId"]}

    def call(self, method: str, **params):
        """Carry out a command of the protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params, **self._session}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._buffer:
                got = os.read(self._read, 1 << 20)
                assert got, "chromium ended"
                self._buffer += got
            answer, _, self._buffer = self._buffer.partition(b"\0")
            if (found := json.loads(answer)).get("id") == self._number:
                assert "error" not in found, found
                return found["result"]

    def run(self, script: str):
        """Value of a JavaScript expression; None while a page is being loaded."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def until(self, script: str, seconds: float = 90.0):
        """Wait for a true value and return it."""
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"never true: {script}; the page says: {self.text()[:2000]}"
            time.sleep(0.2)
        return value

    def open(self, url: str, *texts: str, size=(1600, 1000)) -> None:
        """Load a page anew and wait for these texts."""
        width, height = size
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=url)
        for text in texts:
            self.until(f"document.body && document.body.innerText.includes({json.dumps(text)})")

    def text(self) -> str:
        return self.run("document.body.innerText") or ""

    def screenshot(self, name: str) -> Image.Image:
        png = base64.b64decode(self.call("Page.captureScreenshot")["data"])
        if folder := os.environ.get("ROPE_DIT_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / f"{name}.png").write_bytes(png)
        return Image.open(io.BytesIO(png)).convert("RGB")

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._read)
        os.close(self._write)


@pytest.fixture(scope="module")
def server(two_runs):  # noqa: F811
    """Address of a bare `mlflow ui`, started in the folder of the runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    command = [sys.executable, "-m", "mlflow", "ui", "--port", str(port), "--workers", "1"]
    with open(two_runs / "server.log", "wb") as log:
        process = subprocess.Popen(
            command, cwd=two_runs, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        end = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < end, (two_runs / "server.log").read_text()
                time.sleep(0.3)
        yield f"http://127.0.0.1:{port}/#/experiments/{experiment_id(two_runs)}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def browser(server, tmp_path_factory):
    made = Browser(tmp_path_factory.mktemp("profile"))
    try:
        made.open(f"{server}/runs?{VIEW}", "matching runs")
        for key, value in (("fab.autoOpenedOnFirstLoad", "true"), ("panelOpen", "false")):
            made.run(
                f"localStorage.setItem('mlflow.assistant.{key}_v1', '{value}')"
            )  # it covers a third of the page
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def runs(two_runs):  # noqa: F811
    return load.runs(STUDY, f"sqlite:///{two_runs}/mlflow.db")


def experiment_id(folder: Path) -> str:
    from experiments.store import connect

    return connect(f"sqlite:///{folder}/mlflow.db").get_experiment_by_name(STUDY).experiment_id


def test_the_table_shows_both_runs(server, browser, runs):
    browser.open(f"{server}/runs?{VIEW}", *runs["name"], "2 matching runs")
    assert STUDY in browser.text()
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


def test_a_sample_grid_opens_from_the_artifacts(server, browser, runs, two_runs):  # noqa: F811
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
