"""The extractors that come with the project, and files of extractors that cannot be used."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from extractors import digits_fixture, equal, images_fixture, pictures  # noqa: F401
from torch import Tensor

from experiments.config.registries import METRICS
from experiments.datasets import Images
from experiments.scoring.extractors.base import Extractor, Features
from experiments.scoring.extractors.classifier import Classifier
from experiments.scoring.extractors.classifier_file import WEIGHTS
from experiments.scoring.extractors.load import load_extractor
from rope_dit.errors import UserError

SHIPPED = sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))
LEAST_ACCURACY = {"digits": 0.97, "cifar10": 0.85, "layout": 0.97}


def test_cat_and_rows() -> None:
    a, b = Features(torch.zeros(2, 3), torch.zeros(2, 4)), Features(torch.ones(3, 3), torch.ones(3, 4))
    both = Features.cat([a, b])
    assert len(both) == 5
    assert equal(both[:2], a)
    assert equal(both[torch.tensor([4, 3, 2])], b)


# --- the extractors that come with the project


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped(name: str) -> None:
    extractor = load_extractor(name, "cpu")
    file, record = WEIGHTS / f"{name}.safetensors", json.loads((WEIGHTS / f"{name}.json").read_text())
    assert extractor.name == name
    assert extractor.sha256 == record["sha256"]
    assert file.stat().st_size <= 1_500_000
    assert float(record["accuracy"]) >= LEAST_ACCURACY[name]
    assert "/" not in record["command"], "no paths of the machine it was made on"
    assert extractor.size is not None
    got = extractor(pictures(3, extractor.channels[0], extractor.size[0]))
    assert got.pool.shape == (3, extractor.dim)
    assert got.pool.dtype == got.logits.dtype == torch.float32
    assert (got.pool.std(0) > 0).any()


def test_recorded_accuracy_is_that_of_the_file(digits: Extractor, images: Images) -> None:
    found = digits(torch.from_numpy(images.held_out)).logits.argmax(1).numpy()
    record = json.loads((WEIGHTS / "digits.json").read_text())
    assert (found == images.held_out_labels).mean() == pytest.approx(float(record["accuracy"]), abs=0.003)
    assert record["data_fingerprint"] == images.fingerprint


def test_batch_and_order_do_not_matter(digits: Extractor) -> None:
    images = pictures(600)
    whole, order = digits(images), torch.randperm(600, generator=torch.Generator().manual_seed(1))
    pieces = Features.cat([digits(piece) for piece in images.split(7)])
    for a, b in ((pieces, whole), (digits(images[order]), whole[order])):
        torch.testing.assert_close(a.pool, b.pool, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(a.logits, b.logits, rtol=1e-5, atol=1e-5)


def test_fp32_inside_autocast(digits: Extractor) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        inside = digits(pictures(5))
    assert equal(inside, digits(pictures(5)))
    assert not inside.pool.requires_grad


def test_distorted_pictures_score_worse(digits: Extractor, images: Images) -> None:
    """The Frechet distance grows with noise."""
    frechet = METRICS.load("frechet")()
    train, held_out = (torch.from_numpy(part) for part in (images.train, images.held_out))
    real, noise = digits(train), torch.randn(held_out.shape, generator=torch.Generator().manual_seed(0))
    scores = [
        frechet.measure(digits((held_out + sd * noise).clamp(0, 255).to(torch.uint8)), real)["fd"]
        for sd in (0, 32, 64, 128)
    ]
    assert scores == sorted(scores)
    assert scores[1] > 2 * scores[0]


def test_what_does_not_fit_is_refused(digits: Extractor) -> None:
    for wrong in (pictures(2, 3), pictures(2, 1, 16)):
        with pytest.raises(
            UserError, match=r"digits wants pictures of 1 channel, 8x8; got \d channels?, \d+x"
        ):
            digits(wrong)


@pytest.mark.parametrize(
    ("channels", "size", "wants"),
    [
        ((1, 3), (8, 8), "1 or 3 channels, 8x8"),
        ((3,), None, "3 channels, any size"),
        ((1, 3, 4), (8, 9), "1 or 3 or 4 channels, 8x9"),
    ],
)
def test_what_would_fit_is_said(
    digits: Extractor, channels: tuple[int, ...], size: tuple[int, int] | None, wants: str
) -> None:
    picky = replace(digits, channels=channels, size=size)
    with pytest.raises(UserError, match=f"wants pictures of {wants}; got 2 channels, 8x16. Choose"):
        picky.check_fits((2, 8, 16))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(8, 8), (9, 13), (28, 28), (64, 40)])
@pytest.mark.parametrize("stride", [1, 2])
def test_classifier_takes_any_size(channels: int, size: tuple[int, int], stride: int) -> None:
    model = Classifier(channels=channels, classes=3, width=4, stride=stride)
    pool, logits = model(torch.zeros(2, channels, *size, dtype=torch.uint8))
    assert pool.shape == (2, 8)
    assert logits.shape == (2, 3)
    assert pool.isfinite().all()


@pytest.mark.gpu
@pytest.mark.parametrize("name", SHIPPED)
def test_cuda_agrees(name: str) -> None:
    cpu, cuda = load_extractor(name, "cpu"), load_extractor(name, "cuda")
    assert cpu.size is not None
    images = pictures(300, cpu.channels[0], cpu.size[0])
    torch.testing.assert_close(cpu(images).pool, cuda(images).pool, rtol=1e-4, atol=1e-4)


# --- files that cannot be used


def copy(to: Path, name: str = "mine") -> Path:
    for suffix in ("safetensors", "json"):
        shutil.copy(WEIGHTS / f"digits.{suffix}", to / f"{name}.{suffix}")
    return to / f"{name}.safetensors"


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)


def cut_short(path: Path) -> None:
    path.with_suffix(".json").unlink()
    path.write_bytes(path.read_bytes()[:-1000])


def rewrite(change: Callable[[dict[str, Tensor], dict[str, str]], object]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.with_suffix(".json").unlink()
        with safetensors.safe_open(path, "pt") as file:
            meta = dict(file.metadata())
        tensors = safetensors.torch.load_file(path)
        change(tensors, meta)
        safetensors.torch.save_file(tensors, path, meta)

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flip_a_bit, "its SHA-256 is not the one in mine.json"),
        (cut_short, "damaged"),
        (lambda path: path.unlink(), "No such file"),
        (rewrite(lambda tensors, meta: meta.clear()), "no description"),
        (rewrite(lambda tensors, meta: meta.update(kind="Other")), "no description"),
        (rewrite(lambda tensors, meta: meta.update(width="5")), "damaged"),
        (rewrite(lambda tensors, meta: meta.update(width="many")), "damaged"),
        (rewrite(lambda tensors, meta: meta.pop("image_size")), "damaged"),
        (rewrite(lambda tensors, meta: tensors.pop("head.bias")), "damaged"),
        (lambda path: path.with_suffix(".json").write_text("{"), "damaged"),
    ],
)
def test_damaged_files(damage: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    path = copy(tmp_path)
    assert load_extractor(str(path), "cpu").name == "mine"
    damage(path)
    with pytest.raises(UserError, match=message) as caught:
        load_extractor(str(path), "cpu")
    assert len(str(caught.value)) <= 200


def test_names_that_would_mislead(tmp_path: Path) -> None:
    """A file must not lend its scores the name of FID or of a built-in one, nor a name no tracker takes."""
    for name in ("inception", "inception_0a1b2c3d", "digits", "cifar10", "a b", "x=1"):
        with pytest.raises(UserError, match="give it another name"):
            load_extractor(str(copy(tmp_path, name)), "cpu")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("digitz", r"unknown extractor 'digitz'. Did you mean 'digits'\? `--list extractors` shows all"),
        ("digitz:a.safetensors", "Did you mean 'digits'"),
        ("digits:8", "expected 'digits', which takes nothing after ':'"),
        ("digits:", "expected 'digits' or 'digits:' and something after it"),
        ("file", r"expected file:PATH\.safetensors"),
        ("file:mine.pth", r"expected file:PATH\.safetensors"),
        ("file:mine.safetensors", "No such file"),
        ("inception:missing.pth", "No such file"),
    ],
)
def test_what_is_no_extractor_is_refused(spec: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says):
        load_extractor(spec, "cpu")


@pytest.mark.parametrize("spec", ["digits", "mine.safetensors", "inception:other.pth"])
def test_weights_of_inception_are_for_it_alone(spec: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"eval\.inception-weights is for extractor inception; got"):
        load_extractor(spec, "cpu", tmp_path / "any.pth")


def test_a_path_alone_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a:b").mkdir()
    for folder in (tmp_path, tmp_path / "a:b"):
        path = copy(folder)
        short, long = (load_extractor(spec, "cpu") for spec in (str(path), f"file:{path}"))
        assert (short.name, short.sha256) == (long.name, long.sha256)
        assert short.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
