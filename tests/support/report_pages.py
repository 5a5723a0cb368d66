"""Reports of a made-up study: their pages taken apart, and the fixtures that write them."""

import contextlib
import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_stores import NAME, copy_of, tiny_folder, uri_of

from analysis import load, report
from analysis.page.render import render
from analysis.study import load_study
from experiments.cli.main import main


class Page(HTMLParser):
    """What a page consists of."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, name: str) -> list[str]:
        """Values of an attribute."""
        return [attrs[name] or "" for _, attrs in self.tags if name in attrs]


def page_of(file: Path) -> Page:
    return Page(file.read_text())


def call_report(*args: object) -> int:
    """Exit code of `python -m analysis.report ARGS`."""
    with pytest.raises(SystemExit) as stop:
        main(report.command, [str(arg) for arg in args])
    return int(str(stop.value.code))


@pytest.fixture(name="tiny", scope="module")
def tiny_fixture(tmp_path_factory):
    return tiny_folder(tmp_path_factory)


@pytest.fixture(name="command", scope="module")
def command_fixture(tiny, tmp_path_factory):
    """What the command printed, and the folder of the made-up study's report that it wrote."""
    folder, out = tmp_path_factory.mktemp("reports"), io.StringIO()
    with contextlib.redirect_stdout(out):
        assert call_report("--study", NAME, "--uri", uri_of(tiny), "--out", folder) == 0
    return out.getvalue(), folder / NAME


@pytest.fixture(name="written", scope="module")
def written_fixture(command):
    return command[1]


@pytest.fixture(name="page", scope="module")
def page_fixture(written):
    return page_of(written / "index.html")


@pytest.fixture(name="store")
def store_fixture(tiny, tmp_path):
    """A copy of the made-up study's store, to change."""
    return copy_of(tiny, tmp_path)


def write(store: Path, name: str = NAME) -> Path:
    """Folder of a report of the store."""
    return report.write_report(name, uri_of(store), store / "reports").parent


def write_plain(store: Path, name: str = NAME) -> Path:
    """As `write`, without the figures, which take most of the time."""
    contents = report.contents_of(load_study(name, uri_of(store)), load.curves(name, uri_of(store)), {})
    return report.write(contents, store / "reports" / name).parent


def texts(store: Path, name: str = NAME) -> tuple[Page, str]:
    """The page of a report and its Markdown, without the figures, which take most of the time."""
    contents = report.contents_of(load_study(name, uri_of(store)), load.curves(name, uri_of(store)), {})
    made = render(contents, [])
    return Page(made["index.html"]), made["report.md"]


def noisy(means: dict[str, float]):
    """Scores with a shared effect of the seed and a little noise."""
    rng = np.random.default_rng(7)
    noise = {(arm, seed): rng.normal(0, 0.2) for arm in means for seed in range(10_000 // len(means))}
    return lambda arm, seed: means[arm] + 0.5 * seed + noise[arm, seed]
