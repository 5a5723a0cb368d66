"""The report: what its page says against the run folders, and that it stands on its own."""

import contextlib
import csv
import io
import re
import shutil
import statistics
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import rows
from PIL import Image
from report_stores import (
    ARMS,
    EULER,
    MADE_UP,
    NAME,
    copy_of,
    definition,
    end_as,
    made_up,
    real_folder,
    redefine,
    tiny_folder,
    uri_of,
)

from analysis import load, report, tables
from analysis.figures import NAMES, sample_pictures
from analysis.page.render import published, render
from analysis.study import load_study
from experiments.cli.main import main

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


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


def call(*args: object) -> int:
    """Exit code of `python -m analysis.report ARGS`."""
    with pytest.raises(SystemExit) as stop:
        main(report.command, [str(arg) for arg in args])
    return int(str(stop.value.code))


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return real_folder(tmp_path_factory)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_folder(tmp_path_factory)


@pytest.fixture(scope="module")
def command(tiny, tmp_path_factory):
    """What the command printed, and the folder of the made-up study's report that it wrote."""
    folder, out = tmp_path_factory.mktemp("reports"), io.StringIO()
    with contextlib.redirect_stdout(out):
        assert call("--study", NAME, "--uri", uri_of(tiny), "--out", folder) == 0
    return out.getvalue(), folder / NAME


@pytest.fixture(scope="module")
def written(command):
    return command[1]


@pytest.fixture(scope="module")
def page(written):
    return page_of(written / "index.html")


@pytest.fixture
def store(tiny, tmp_path):
    """A copy of the made-up study's store, to change."""
    return copy_of(tiny, tmp_path)


def write(store: Path, name: str = NAME) -> Path:
    """Folder of a report of the store."""
    return report.write_report(name, uri_of(store), store / "reports").parent


def texts(store: Path, name: str = NAME) -> tuple[Page, str]:
    """The page of a report and its Markdown, without the figures, which take most of the time."""
    contents = report.contents_of(load_study(name, uri_of(store)), load.curves(name, uri_of(store)), {}, 0)
    made = render(contents, [])
    return Page(made["index.html"]), made["report.md"]


# What it says


def test_sections_come_in_their_order(page):
    wanted = ["verdict", "table", "figures", "samplers", "spread", "provenance"]
    assert [i for i in page.all("id") if i in {*wanted, "published"}] == wanted


@pytest.mark.slow
def test_means_and_each_seed_are_those_of_the_run_folders(real):
    page, _ = texts(real)
    table = tables.main_table(load_study(NAME, uri_of(real)), load.curves(NAME, uri_of(real)))
    table = {row["arm"]: row for row in table.to_dict("records")}
    for arm in ARMS:
        scored = [
            float(row["value"])
            for seed in range(2)
            for row in rows(real / "runs" / f"{arm}-s{seed}")
            if (row["metric"], row["sampler"], row["n"], row["sampling_seed"], row["train_step"])
            == ("fd_digits", EULER, "100", "0", "20")
        ]
        mean, half = statistics.mean(scored), 12.706 * statistics.stdev(scored) / 2**0.5  # t of one degree
        assert float(table[arm]["mean"]) == pytest.approx(mean)
        assert float(table[arm]["half"]) == pytest.approx(half, rel=1e-4)
        assert len(scored) == 2
        assert all(f"{value:.0f}." in page.text for value in scored)


def test_alike_arms_are_said_to_be_the_same_model(page, written):
    said = "rope2d and twin are the same model: their pictures agree to the bit"
    assert said in page.text
    assert said in (written / "report.md").read_text()


def test_verdicts_have_their_numbers(page, written):
    with open(written / "comparisons.csv", newline="") as file:
        found = list(csv.DictReader(file))
    assert [(row["arm"], row["reference"]) for row in found] == [("rope2d", "learned"), ("twin", "learned")]
    for row in found:
        assert re.search(f"{row['verdict']} {row['arm']} (is|are|and|against) .*2 paired seeds", page.text)


def test_a_clear_difference_is_a_verdict(store):
    means = {"learned": 20.0, "rope2d": 10.0, "none": 30.0}
    made_up(store, definition({arm: arm for arm in means}, range(5)), noisy(means))
    page, _ = texts(store, MADE_UP)
    assert "rope2d is better than learned; none is worse than learned." in page.text
    assert "paired seeds, adjusted p" in page.text


@pytest.mark.parametrize(
    ("shared", "says"), [(1, "pairing was worth"), (-1, "where that is not above 1, pairing gained nothing")]
)
def test_what_pairing_gained_is_said(store, shared, says):
    """Seeds move both arms alike, or the one against the other."""
    noise = [0.0, 0.3, 1.0, 0.6, 0.2]
    signs = {"learned": 1, "rope2d": shared}
    value = lambda arm, seed: 20 + signs[arm] * noise[seed] + 0.01 * seed * (arm == "rope2d")  # noqa: E731
    made_up(store, definition({arm: arm for arm in signs}, range(5)), value)
    page, markdown = texts(store, MADE_UP)
    for text in (page.text, markdown):
        assert says in text
        times = re.search(r"would have ([\d.,]+) times the variance of the paired one", text)[1]
        assert (float(times.replace(",", "")) > 1) == (shared == 1)


def noisy(means: dict[str, float]):
    """Scores with a shared effect of the seed and a little noise."""
    rng = np.random.default_rng(7)
    noise = {(arm, seed): rng.normal(0, 0.2) for arm in means for seed in range(10_000 // len(means))}
    return lambda arm, seed: means[arm] + 0.5 * seed + noise[arm, seed]


def test_a_partial_study_lists_what_is_missing_and_concludes_nothing(store, written):
    shutil.copytree(written, store / "reports" / NAME)
    forest = store / "reports" / NAME / "figures" / "forest.svg"
    assert forest.exists()
    redefine(store, seeds=(0, 1, 2))
    end_as(store, "learned", 0, "RUNNING", "running")
    folder = write(store)
    page = page_of(folder / "index.html")
    assert "Partial: of 9 runs 3 are missing and 1 is running." in page.text
    assert "learned, seed 0: running (at work)" in page.text
    assert "twin, seed 2: missing (not begun)" in page.text
    assert "twin, seed 2: missing" in (folder / "report.md").read_text()
    assert "inconclusive" not in page.text
    assert "rope2d and twin are the same model" in page.text  # which is no verdict
    assert not forest.exists()  # that of the whole study is no longer true
    assert (folder / "comparisons.csv").read_text().strip() == ""


def test_one_seed_is_inconclusive(store):
    redefine(store, seeds=(0,))
    page, _ = texts(store)
    assert "rope2d against learned is inconclusive: 1 paired seed cannot give an interval" in page.text


def test_lost_cells_are_listed_and_counted(store):
    end_as(store, "rope2d", 1, "FAILED", "diverged")
    end_as(store, "twin", 0, "FAILED", "error")
    page, markdown = texts(store)
    for text in (page.text, markdown):
        assert "rope2d, seed 1: diverged" in text
        assert "twin, seed 0: failed" in text
    table = tables.main_table(load_study(NAME, uri_of(store)), load.curves(NAME, uri_of(store)))
    counts = table[["arm", "planned", "diverged", "failed"]].to_numpy().tolist()
    assert counts == [["learned", 2, 0, 0], ["rope2d", 2, 1, 0], ["twin", 2, 0, 1]]


def test_mixed_devices_are_a_caution(store):
    made_up(store, definition({"a": "none", "b": "none"}, range(2)), lambda arm, seed: 5.0 + seed,
            device=lambda i: f"device {i % 2}")  # fmt: skip
    text = texts(store, MADE_UP)[0].text
    assert "The runs were made with 2 devices" in text
    assert "on 2 kinds of device: they do not compare between those" in text


@pytest.mark.parametrize(("data", "there"), [("digits", False), ("cifar10", True), ("cifar100", False)])
def test_published_numbers_stand_beside_cifar10_only(store, data, there):
    redefine(store, data=data)
    page, _ = texts(store)
    assert ("U-ViT-S/2" in page.text) is there
    assert ("3.11" in page.text) is there
    if there:
        assert "numbers must not be set beside these" in page.text  # the endpoint is no FID


def test_published_rows_have_a_source():
    found = published()["rows"]
    assert len(found) >= 20
    assert all(row["source"] and 1 < row["fid"] < 400 for row in found)


# That it stands on its own


def test_the_page_asks_nothing_of_anybody(page, written):
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert all(source.startswith("data:") for source in page.all("src"))
    assert all(not re.match(r"[a-z]+:|//", link) for link in page.all("href"))
    text = (written / "index.html").read_text()
    assert not re.search(r"@import|url\((?!#)", text)
    assert not {name for name in page.all("style") if "http" in name}
    assert len(text) < 6_000_000


def test_links_lead_somewhere(page, written):
    ids = page.all("id")
    assert len(ids) == len(set(ids))
    for link in page.all("href") + page.all("xlink:href"):
        if link.startswith("#"):
            assert link[1:] in ids
        else:
            assert (written / link).is_file()
    clips = re.findall(r"url\(#([^)]+)\)", (written / "index.html").read_text())
    assert clips
    assert set(clips) <= set(ids)


def test_every_figure_is_there_as_png_and_svg(written, page):
    for name in NAMES:
        with Image.open(written / "figures" / f"{name}.png") as image:
            assert image.width > 600
        ElementTree.parse(written / "figures" / f"{name}.svg")
        assert f"figure-{name}" in page.all("id")


@pytest.mark.slow
def test_sample_grids_are_those_of_the_endpoint(real):
    study = load_study(NAME, uri_of(real))
    found, seed = sample_pictures(study, uri_of(real))
    assert seed == 0
    name = "00000020-euler-2-cfg1-seed0.png"
    there = {arm: (real / "runs" / f"{arm}-s0" / "pictures" / name).read_bytes() for arm in ARMS}
    assert found == there


def test_latex_is_a_booktabs_table(written):
    text = (written / "table.tex").read_text()
    assert r"\toprule" in text
    assert r"$\downarrow$" in text
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(lines) == 1 + len(ARMS)
    assert len({line.count("&") for line in lines}) == 1


@pytest.mark.slow
def test_the_same_store_gives_the_same_report(tiny):
    one, two = (report.compute(NAME, uri_of(tiny)) for _ in range(2))
    later = type(two)(**{**vars(two), "made": one.made})
    assert render(one, ["main.csv"]) == render(later, ["main.csv"])
    assert {n: d.png for n, d in one.figures.items()} == {n: d.png for n, d in two.figures.items()}


HOSTILE = (
    '=cmd|" /C calc"!A0',
    "<script>alert(1)</script>",
    "$x_1$ & 50% | *b* \\",
    "'\"><img src=x onerror=y>",
)


def test_labels_are_text_and_nothing_else(store):
    made_up(
        store, definition({label: "none" for label in HOSTILE}, range(3)), lambda arm, seed: len(arm) + seed
    )
    folder = write(store, MADE_UP)
    page = page_of(folder / "index.html")
    assert not {tag for tag, _ in page.tags} & {"script"}
    assert all(source.startswith("data:") for source in page.all("src"))
    assert not page.all("onerror")
    assert all(label in " ".join(page.words) for label in HOSTILE)
    with open(folder / "main.csv", newline="") as file:
        assert [row["arm"] for row in csv.DictReader(file)] == [f"'{HOSTILE[0]}", *HOSTILE[1:]]
    assert "<script>" not in re.sub(r"\\<", "", (folder / "report.md").read_text())
    assert r"\$x\_1\$ \& 50\% | *b* \textbackslash{}" in (folder / "table.tex").read_text()
    for name in NAMES:
        ElementTree.parse(folder / "figures" / f"{name}.svg")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_formulas_in_text_are_guarded_and_numbers_are_not(start):
    frame = pd.DataFrame({"arm": [f"{start}1"], "value": [-1.5]})
    [row] = csv.DictReader(io.StringIO(report.csv(frame)))
    assert (row["arm"], row["value"]) == (f"'{start}1", "-1.5")


# The command


def test_the_command_says_where_and_what(command):
    out, folder = command
    assert str(folder / "index.html") in out
    assert "learned" in out.splitlines()[0]
    assert (folder / "index.html").is_file()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--study", "tinny"), "no experiment 'tinny'"),
        ((), "study"),
        (("--study", NAME, "--uri", "sqlite:////nowhere/mlflow.db"), "no MLflow store at"),
        (("--study", "../tiny"), "study got '../tiny'"),
        (("--study", NAME, "--out", __file__), "is a file, expected a folder"),
    ],
)
def test_bad_input_is_one_line_and_2(tiny, tmp_path, monkeypatch, capsys, args, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri_of(tiny))
    assert call(*args) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert words in error
    assert not (tmp_path / "reports").exists()


def test_the_command_imports_neither_torch_nor_mlflow():
    code = "import sys, analysis.report; sys.exit('torch' in sys.modules or 'mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.slow
def test_the_report_needs_no_torch(real, tmp_path):
    code = (
        "import sys; from analysis.report import write_report; from pathlib import Path; "
        f"write_report('{NAME}', '{uri_of(real)}', Path(sys.argv[1])); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# Large, and looked at


@pytest.mark.slow
def test_two_hundred_runs(store, capsys):
    means = {f"arm{i}": 20.0 + i for i in range(8)}
    made_up(store, definition({arm: "none" for arm in means}, range(25)), noisy(means), logged=200)
    begun = time.perf_counter()
    folder = write(store, MADE_UP)
    with capsys.disabled():
        print(f"\nreport of 200 runs: {time.perf_counter() - begun:.1f} s")
    page = page_of(folder / "index.html")
    assert "arm1, arm2, arm3, arm4, arm5, arm6 and arm7 are worse than arm0." in page.text
    assert (folder / "index.html").stat().st_size < 6_000_000
    with open(folder / "runs.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 200


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium to lay the page out")
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_but_tables_and_figures_scrolls_sideways(written, tmp_path, width):
    text = (written / "index.html").read_text()
    tell = (
        "const d = document.documentElement; parent.postMessage(`${d.scrollWidth} in ${d.clientWidth}`, '*')"
    )
    text = re.sub(r"<meta http-equiv=[^>]*>", "", text)  # which forbids scripts
    (tmp_path / "page.html").write_text(text.replace("</body>", f"<script>{tell}</script></body>"))
    listen = "onmessage = message => document.body.append('measured ' + message.data)"
    frame = f"<body><script>{listen}</script><iframe src=page.html style='width: {width}px'></iframe>"
    (tmp_path / "frame.html").write_text(frame)
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    options += [f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=5000", "--dump-dom"]
    command = [str(CHROMIUM), *options, (tmp_path / "frame.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    [(needed, given)] = re.findall(r"measured (\d+) in (\d+)", done.stdout)
    assert int(needed) <= int(given) <= width
