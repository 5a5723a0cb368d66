"""A bare `mlflow ui` over the folder of two runs, and a headless Chromium that looks at it.

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
from commands import TWO_RUNS
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
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


@pytest.fixture(name="server", scope="module")
def server_fixture(two_runs):
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


@pytest.fixture(name="browser", scope="module")
def browser_fixture(server, tmp_path_factory):
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


def experiment_id(folder: Path) -> str:
    from experiments.records.mlflow_store import connect

    return connect(f"sqlite:///{folder}/mlflow.db").get_experiment_by_name(TWO_RUNS).experiment_id
