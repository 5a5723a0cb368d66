"""An MLflow server on PostgreSQL, as docs/scale.md has it, and a study that goes on while it is down."""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from studies import QUICK, call_study, plan_of

from analysis import load

DOCS = Path(__file__).parents[2] / "docs" / "scale.md"
START_SECONDS = 180.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def program(name: str) -> str:
    """A program of PostgreSQL, from the PATH or where Debian keeps it; the test is skipped without it."""
    folders = [os.environ["PATH"], *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    found = shutil.which(name, path=os.pathsep.join(folders))
    return found or pytest.skip(f"PostgreSQL's {name} is not on this machine: apt-get install postgresql")


@pytest.fixture
def postgres() -> Iterator[str]:
    """URI of an empty database `mlflow` on loopback."""
    pytest.importorskip("psycopg", reason="needs the extra: pip install 'rope-dit[postgres]'")
    initdb, pg_ctl, createdb = (program(name) for name in ("initdb", "pg_ctl", "createdb"))
    as_user = ["runuser", "-u", "postgres", "--"] if getpass.getuser() == "root" else []
    port, folder = free_port(), Path(tempfile.mkdtemp(prefix="rope-dit-postgres-"))
    if as_user:  # the server refuses to run as root
        shutil.chown(folder, "postgres")
    data = folder / "data"
    run = lambda *words: subprocess.run([*as_user, *words], check=True, capture_output=True, cwd=folder)  # noqa: E731
    run(initdb, "-D", str(data), "-U", "mlflow", "--auth=trust")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    run(pg_ctl, "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        run(createdb, "-h", "127.0.0.1", "-p", str(port), "-U", "mlflow", "mlflow")
        yield f"postgresql+psycopg://mlflow@127.0.0.1:{port}/mlflow"
    finally:
        run(pg_ctl, "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder)


@contextlib.contextmanager
def mlflow_server(database: str, artifacts: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The server of docs/scale.md."""
    options = [
        "--backend-store-uri",
        database,
        "--artifacts-destination",
        str(artifacts),
        "--host",
        "127.0.0.1",
    ]
    assert all(option in DOCS.read_text() for option in options if option.startswith("--"))
    command = [sys.executable, "-m", "mlflow", "server", *options, "--port", str(port), "--workers", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True)  # fmt: skip
    try:
        until = time.monotonic() + START_SECONDS
        while True:
            assert time.monotonic() < until, "the server does not answer"
            with contextlib.suppress(OSError):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                    if answer.status == 200:
                        break
            time.sleep(0.5)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_study_on_a_server_with_postgresql(postgres, tmp_path, monkeypatch):
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.chdir(tmp_path)
    args = ("smoke", *QUICK, "--name", "far", "--variants", "learned", "rope2d")
    with mlflow_server(postgres, tmp_path / "artifacts", port):
        assert call_study(*args, "--seeds", 1, processes=True).code == 0
    grown = call_study(
        *args, "--seeds", 2, processes=True
    )  # the server is down: the runs are carried out all the same
    assert [cell.state() for cell in plan_of(tmp_path, "far").cells()] == ["done"] * 4
    assert "cannot be" in grown.err
    with mlflow_server(postgres, tmp_path / "artifacts", port):
        result = call_study(*args, "--seeds", 2, processes=True)
        assert result.code == 0, result.err
        runs, curves, scores = load.runs("far"), load.curves("far"), load.scores("far")
    assert list(zip(runs["arm"], runs["seed"], strict=True)) == [
        ("learned", 0), ("learned", 1), ("rope2d", 0), ("rope2d", 1),
    ]  # fmt: skip
    assert set(runs["status"]) == {"FINISHED"}
    assert not curves.duplicated(["run_id", "key", "step"]).any()
    assert scores.groupby(["arm", "seed"]).size().nunique() == 1
    assert (tmp_path / "reports" / "far" / "index.html").is_file()
    assert not (tmp_path / "mlflow.db").exists()
