"""What all tests share: no GPU tests without a GPU, one thread, no trace left outside temporary folders."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
from shortcuts import copy_the_first, remember_distances, write_without_waiting

from rope_dit.registry import add_plugins

hypothesis.settings.register_profile("untimed", deadline=None)  # speed is measured by the benchmark, not here
hypothesis.settings.load_profile("untimed")


LONGEST = (
    "test_outlives_code",
    "test_later_versions",
    "test_study",
    "test_tune",
    "test_study_kills",
    "test_run",
    "test_report",
    "test_load",
)
"""files that begin first, so that no worker is left alone with one of them at the end"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--plugins", dest="own", type=Path, metavar="DIR", help="whose items contracts try too")


def pytest_configure(config: pytest.Config) -> None:
    # whoever started the tests, as nohup or a script's background does, may have had signals ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if folder := config.getoption("own"):
        add_plugins(folder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))
    if torch.cuda.is_available():
        return
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(
                pytest.mark.skip(reason="needs a CUDA device; this machine or this torch has none")
            )


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROPE_DIT_CACHE", str(folder))
        remember_distances(patch)
        write_without_waiting(patch)
        yield folder


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracking goes where the test says. One thread, because bits depend on their number, which commands set.

    On busy cores small models take 50 times as long with two: threads spin while they wait for each other.
    """
    torch.set_num_threads(1)
    copy_the_first()
    if mlflow := sys.modules.get("mlflow.tracking._tracking_service.utils"):
        mlflow._artifact_repos_cache.clear()  # by a run's id alone, though tests copy stores to other places
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
