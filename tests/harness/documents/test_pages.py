"""The pages in docs/ are what the command would write now, and hold all that is registered."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import call
from PIL import Image

from experiments.documents import pages, variants
from experiments.documents.pictures import is_drawn, of_similarity
from experiments.documents.similarity import CENTRE, CORNER, similarity
from rope_dit.registry import POS_EMBEDS, REGISTRIES

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
LIBRARY = [kind for kind, each in REGISTRIES.items() if each.package.startswith("rope_dit")]
ITEMS = [(kind, entry) for kind in LIBRARY for entry in REGISTRIES[kind]]


@pytest.fixture(scope="module")
def drawn():
    return pages.pictures()


def test_the_pages_are_what_would_be_written(drawn, monkeypatch):
    monkeypatch.setattr(pages, "pictures", lambda: drawn)
    assert not pages.stale(DOCS), "write them: python -m experiments.document --out docs"


@pytest.mark.parametrize(("kind", "entry"), ITEMS, ids=[f"{kind}-{entry.name}" for kind, entry in ITEMS])
def test_all_of_the_library_is_in_them(kind, entry):
    text = "".join((DOCS / name).read_text() for name in pages.PAGES)
    assert text.count(f'<a id="{kind}-{entry.name}"></a>') == 1


@pytest.mark.parametrize(("kind", "entry"), ITEMS, ids=[f"{kind}-{entry.name}" for kind, entry in ITEMS])
def test_it_says_where_it_is_from_and_shows_its_numbers(kind, entry):
    assert entry.source, f"{entry.path.name}: 'Source: ...' is missing in its docstring"
    assert entry.says.doctests, f"{entry.path.name}: a doctest of its defining numbers is missing"


def anchors(page: Path) -> set[str]:
    text = page.read_text()
    return {*re.findall(r'<a id="(.+?)">', text), *re.findall(r"^## (\w+)$", text, re.M)}


def test_links_lead_somewhere():
    for name in pages.PAGES:
        for target in set(re.findall(r"\]\((.+?)\)", (DOCS / name).read_text())):
            file, _, anchor = target.partition("#")
            there = DOCS / (file or name)
            assert there.exists(), target
            assert not anchor or anchor in anchors(there), target


def test_pictures_are_small():
    files = [path for path in DOCS.rglob("*.png") if path.parent != DOCS or path.name == "grids.png"]
    assert len(files) == len(POS_EMBEDS.names()) + 1
    assert sum(path.stat().st_size for path in files) < 600_000


def test_what_differs_is_written_and_nothing_else(tmp_path, monkeypatch, drawn):
    monkeypatch.setattr(pages, "pictures", lambda: drawn)
    shutil.copytree(DOCS, tmp_path / "docs")
    folder = tmp_path / "docs"
    (folder / "samplers.md").write_text("old")
    (folder / "variants/rope2d.png").unlink()
    shutil.copy(folder / "variants/none.png", folder / "variants/rope1d.png")
    shutil.copy(folder / "variants/none.png", folder / "variants/gone.png")
    wrong = {"samplers.md", "variants/rope2d.png", "variants/rope1d.png", "variants/gone.png"}
    assert set(pages.stale(folder)) == wrong
    told = call("document", "--out", folder)
    assert {Path(line).relative_to(folder).as_posix() for line in told.out.splitlines()} == wrong
    assert not pages.stale(folder)
    assert not (folder / "variants/gone.png").exists()
    assert "nothing to do" in call("document", "--out", folder).out


def test_a_picture_knows_its_numbers_and_the_code_that_drew_it(tmp_path, monkeypatch):
    picture = of_similarity(np.arange(128.0).reshape(2, 1, 8, 8), (CENTRE, CORNER))
    path = tmp_path / "a.png"
    path.write_bytes(picture.png())
    other = (*picture.numbers[:-1], picture.numbers[-1] + 0.01)
    assert is_drawn(path, picture.numbers)
    assert not is_drawn(path, other)
    assert not is_drawn(path, picture.numbers[:-1])
    with monkeypatch.context() as patch:
        patch.setattr("experiments.documents.pictures.drawn_by", lambda: "other code")
        assert not is_drawn(path, picture.numbers)
    Image.open(path).save(tmp_path / "b.png")  # without its words
    assert not is_drawn(tmp_path / "b.png", picture.numbers)


def test_what_a_rotation_by_known_angles_looks_like():
    """rope2d: a content that is equal to itself loses by cos of the angle, half by rows and half by columns.

    Contents are normalised and all eight pairs of an axis weigh as much on average: the logit between tokens
    a rows and b columns apart is sqrt(32) / 16 times the sum over i of cos(a w_i) + cos(b w_i), where
    w_i = 100^(-i/8).
    """
    omega = 100.0 ** (-torch.arange(8) / 8)
    far = torch.arange(8.0)
    curve = (far[:, None] * omega).cos().sum(1)
    expected = 32**0.5 / 16 * (curve[:, None] + curve)
    (found,) = similarity("rope2d")[0][1]
    assert (found - (expected - expected.mean())).abs().max() < 0.4  # 32 contents


def test_heads_that_differ_are_shown_one_by_one():
    assert similarity("rope2d")[0].shape == (2, 1, 8, 8)
    assert similarity("sincos2d")[0].shape == (2, 8, 8, 8)
    assert not similarity("none")[0].any()


def test_what_starts_without_effect_is_shown_with_random_weights():
    found, remark = similarity("learned")
    assert remark == "with random weights, since it starts without effect"
    assert 1 < found.abs().max() < 8
    assert not any(similarity(name)[1] for name in ("none", "rope2d", "sincos2d"))
    so_shown = sum(bool(similarity(name)[1]) for name in POS_EMBEDS.names())
    assert variants.page().count("- Picture: with random weights") == so_shown


def test_what_is_hidden_counts_in_no_mean():
    found = similarity("lookhere")[0]
    assert found.isnan().any()
    assert found.nan_to_num().abs().max() < 100
    assert found.nanmean((-2, -1)).abs().max() < 1e-4


def test_a_page_says_what_a_variant_learns():
    line = next(line for line in variants.page().splitlines() if line.startswith("| [`learned`]"))
    assert f"| {8 * 8 * 256:,} |" in line


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "docs").write_text("")
    told = call("document", "--out", tmp_path / "docs")
    assert (told.code, "is no folder; choose another" in told.err) == (2, True)
