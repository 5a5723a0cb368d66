"""The page of a report stands on its own: no links outwards, safe labels, every figure, any size."""

import csv
import io
import re
import shutil
import subprocess
import time
import xml.etree.ElementTree as ElementTree

import pandas as pd
import pytest
from PIL import Image
from report_pages import (  # noqa: F401  fixtures
    command_fixture,
    noisy,
    page_fixture,
    page_of,
    store_fixture,
    tiny_fixture,
    write,
    written_fixture,
)
from report_stores import (
    ARMS,
    MADE_UP,
    NAME,
    definition,
    made_up,
    uri_of,
)

from analysis import report
from analysis.figures.base import FIGURES
from analysis.page.render import render

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def test_the_page_asks_nothing_of_anybody(page, written):
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert all(source.startswith("data:") for source in page.all("src"))
    assert all(not re.match(r"[a-z]+:|//", link) for link in page.all("href"))
    text = (written / "index.html").read_text()
    assert not re.search(r"@import|url\((?!#)", text)
    assert not {name for name in page.all("style") if "http" in name}
    assert len(text) < 6_000_000


def test_nothing_is_written_as_an_escape(written):
    """As no-break spaces of formulas in figures were."""
    for name in ("index.html", "report.md"):
        assert not re.search(r"\\x[0-9a-f]{2}", (written / name).read_text())


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


def names_of(folder) -> set[str]:
    """Of the figures of a report."""
    names = {file.stem for file in (folder / "figures").iterdir()}
    assert names <= set(FIGURES.names())
    assert len(names) > 5
    return names


def test_every_figure_is_there_as_png_and_svg(written, page):
    shown = {i.removeprefix("figure-") for i in page.all("id") if i.startswith("figure-")}
    assert shown == names_of(written)
    for name in shown:
        with Image.open(written / "figures" / f"{name}.png") as image:
            assert image.width > 600
        ElementTree.parse(written / "figures" / f"{name}.svg")


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
    assert not set((folder / "report.md").read_text()) & set("<>")
    assert r"\$x\_1\$ \& 50\% | *b* \textbackslash{}" in (folder / "table.tex").read_text()
    for name in names_of(folder):
        ElementTree.parse(folder / "figures" / f"{name}.svg")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_formulas_in_text_are_guarded_and_numbers_are_not(start):
    frame = pd.DataFrame({"arm": [f"{start}1"], "value": [-1.5]})
    [row] = csv.DictReader(io.StringIO(report.csv(frame)))
    assert (row["arm"], row["value"]) == (f"'{start}1", "-1.5")


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
