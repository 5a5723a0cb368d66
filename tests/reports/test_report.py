"""What a report says, against run folders and made-up studies, and its command."""

import csv
import re
import shutil
import statistics
import subprocess
import sys
from dataclasses import replace

import pytest
from commands import rows
from report_pages import (  # noqa: F401  fixtures
    call_report,
    command_fixture,
    noisy,
    page_fixture,
    page_of,
    store_fixture,
    texts,
    tiny_fixture,
    write,
    written_fixture,
)
from report_stores import (
    ARMS,
    EULER,
    MADE_UP,
    NAME,
    definition,
    end_as,
    made_up,
    real_folder,
    redefine,
    uri_of,
)

from analysis import load, tables
from analysis.figures.samples import sample_pictures
from analysis.numbers import metric_title
from analysis.page.render import published
from analysis.study import load_study

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return real_folder(tmp_path_factory)


# What it says


def test_sections_come_in_their_order(page):
    wanted = ["verdict", "table", "figures", "samplers", "stability", "spread", "provenance"]
    assert [i for i in page.all("id") if i in {*wanted, "published"}] == wanted


def test_names_of_values_and_extractors_may_have_underscores(store):
    wanted = definition(ARMS, range(2))
    end = replace(wanted.endpoint, metric="density_k5_my_own", extractor="my_own")
    page, _ = texts(made_up(store, replace(wanted, endpoint=end), lambda arm, seed: 1.0 + seed), MADE_UP)
    assert "Density k5 (my_own)" in page.text
    others = tables.other_metrics(load_study(MADE_UP, uri_of(store)))
    assert [*others] == ["kid_digits", "precision_digits", "recall_digits"]  # no value is called precision
    assert [metric_title(name, "inception") for name in ("fid", "density_k5")] == ["FID", "Density k5"]


def test_a_guidance_of_a_plug_in_that_is_not_here_stands_as_it_is(store):
    wanted = definition(ARMS, range(2))
    wanted = replace(wanted, endpoint=replace(wanted.endpoint, guidance="mine:w=3"))
    page, _ = texts(made_up(store, wanted, lambda arm, seed: 1.0 + seed), MADE_UP)
    assert "mine:w=3" in page.text
    assert sample_pictures(load_study(MADE_UP, uri_of(store)), uri_of(store)) == ({}, 0)


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
            == ("fd_digits", EULER, "100", str(1000 * seed), "20")
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


def test_a_partial_study_lists_what_is_missing_and_concludes_nothing(store, written):
    shutil.copytree(written, store / "reports" / NAME)
    forest = store / "reports" / NAME / "figures" / "forest.svg"
    assert forest.exists()
    (store / "reports" / NAME / "report.json").unlink()  # as of before reports said what they are made of
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


@pytest.mark.slow
def test_sample_grids_are_those_of_the_endpoint(real):
    study = load_study(NAME, uri_of(real))
    found, seed = sample_pictures(study, uri_of(real))
    assert seed == 0
    name = "00000020-euler-2-cfg1-seed0.png"
    there = {arm: (real / "runs" / f"{arm}-s0" / "pictures" / name).read_bytes() for arm in ARMS}
    assert found == there


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
        (("--study", NAME, "--out", __file__), "is no folder that can be written"),
    ],
)
def test_bad_input_is_one_line_and_2(tiny, tmp_path, monkeypatch, capsys, args, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri_of(tiny))
    assert call_report(*args) == 2
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
