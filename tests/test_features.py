"""Extractors: what they accept and refuse, and that Inception is torch-fidelity's to the bit."""

import dataclasses
import json
import pathlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from experiments.classifier import Classifier
from experiments.cli import StopFlag
from experiments.config import DataConfig
from experiments.datasets import Images, load
from experiments.features import SHIPPED, WEIGHTS, Extractor, Features, load_extractor
from experiments.metrics import measure_all
from experiments.registries import METRICS
from experiments.train_extractor import ExtractorConfig, _fresh, _shifted, accuracy, command, train, write
from rope_dit.errors import Stopped, UserError

LEAST_ACCURACY = {"digits": 0.97, "cifar10": 0.85}


def pictures(n: int, channels: int = 1, size: int = 8, seed: int = 0) -> Tensor:
    shape = (n, channels, size, size)
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def equal(a: Features, b: Features) -> bool:
    return torch.equal(a.pool, b.pool) and torch.equal(a.logits, b.logits)


@pytest.fixture(scope="module")
def digits() -> Extractor:
    return load_extractor("digits", "cpu")


@pytest.fixture(scope="module")
def images() -> Images:
    return load(DataConfig())


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
        with pytest.raises(UserError, match=r"digits wants pictures of 1x8x8; got \d+x\d+x\d+"):
            digits(wrong)


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


def test_unknown_extractor(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"got 'digitz', expected inception, digits, cifar10 or"):
        load_extractor("digitz", "cpu")
    with pytest.raises(UserError, match=r"eval\.inception-weights is for"):
        load_extractor("digits", "cpu", tmp_path / "any.pth")


# --- Inception, with random weights in the published file's format


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Bare(FeatureExtractorInceptionV3):  # type: ignore[misc]
        def load_state_dict(self, state: dict[str, Tensor]) -> None:
            """Keep the fresh weights: the real ones are not there."""

    path: Path = tmp_path_factory.mktemp("inception") / "random.pth"
    torch.save({}, path)
    model, generator = Bare("bare", ["2048"], path), torch.Generator().manual_seed(0)
    for weight in model.parameters():
        if weight.ndim > 1:
            nn.init.kaiming_normal_(weight, generator=generator)
    torch.save(model.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def inception(inception_file: Path) -> Extractor:
    return load_extractor("inception", "cpu", inception_file)


def test_other_weights_are_not_called_fid(inception: Extractor) -> None:
    assert inception.name == f"inception_{inception.sha256[:8]}"


def test_inception_features_are_torch_fidelitys(inception: Extractor, inception_file: Path) -> None:
    from torch_fidelity.utils import create_feature_extractor

    theirs = create_feature_extractor(
        "inception-v3-compat", ["2048", "logits_unbiased"], cuda=False, verbose=False,
        feature_extractor_weights_path=str(inception_file),
    )  # fmt: skip
    images = pictures(2, 3, 32)
    pool, logits = theirs(images)
    got = inception(images)
    assert equal(got, Features(pool, logits))
    assert pool.std() > 0.01
    assert inception.dim == got.pool.shape[1] == 2048


def test_grey_pictures_are_repeated(inception: Extractor) -> None:
    grey = pictures(1, 1, 16)
    assert equal(inception(grey), inception(grey.expand(1, 3, 16, 16)))
    with pytest.raises(UserError, match="wants pictures of 1 or 3 channels, any size; got 4x16x16"):
        inception.check_fits((4, 16, 16))


def test_weights_that_would_run_code(tmp_path: Path) -> None:
    class Run:
        def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
            return pathlib.Path.touch, (tmp_path / "ran",)

    torch.save({"fc.weight": Run()}, tmp_path / "bad.pth")
    with pytest.raises(UserError, match=r"bad\.pth does not hold torch-fidelity's InceptionV3"):
        load_extractor("inception", "cpu", tmp_path / "bad.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"no weights", None])
def test_other_files_given_as_inception(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(content) if content is not None else torch.save({"fc.weight": torch.zeros(2)}, path)
    with pytest.raises(UserError, match=r"w\.pth does not hold .* expected weights-inception-2015-12-05"):
        load_extractor("inception", "cpu", path)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "file://{folder}"])
def test_a_failing_download_says_what_to_do(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No server; and a server that gives other bytes."""
    from torch_fidelity import feature_extractor_inceptionv3 as theirs

    name = theirs.URL_INCEPTION_V3.rpartition("/")[2]
    (tmp_path / name).write_bytes(b"not the weights")
    monkeypatch.setattr(theirs, "URL_INCEPTION_V3", f"{url.format(folder=tmp_path)}/{name}")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    remedies = r"--eval\.inception-weights PATH .*6726825d.* --eval\.extractor cifar10"
    with pytest.raises(UserError, match=remedies):
        load_extractor("inception", "cpu")
    assert not list((tmp_path / "home").rglob("*.pth")), "a later call would take it for the weights"


class Pictures(Dataset[Tensor]):
    def __init__(self, images: Tensor):
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_scores_are_torch_fidelitys(inception: Extractor, inception_file: Path) -> None:
    """The whole way from pictures to numbers, beside torch-fidelity's own."""
    from torch_fidelity import calculate_metrics

    n = 12
    real = pictures(n, 3, 32)
    generated = (pictures(n, 3, 32, seed=1) // 2 + 60).to(torch.uint8)
    theirs = calculate_metrics(
        input1=Pictures(generated), input2=Pictures(real), fid=True, kid=True, isc=True, prc=True, cuda=False,
        save_cpu_ram=True, cache=False, verbose=False, kid_subset_size=n,
        feature_extractor="inception-v3-compat", feature_extractor_weights_path=str(inception_file),
    )  # fmt: skip
    ours = measure_all(inception(generated), inception(real))
    names = {"fd": "frechet_inception_distance", "kid": "kernel_inception_distance_mean",
             "is": "inception_score_mean", "precision": "precision", "recall": "recall"}  # fmt: skip
    assert ours == pytest.approx({value: theirs[name] for value, name in names.items()}, rel=1e-6)


# --- training one


def small(out: Path) -> ExtractorConfig:
    return ExtractorConfig(out=out, epochs=1, width=4, batch=32, flip=True, seed=3)


def test_train_then_use(tmp_path: Path, images: Images, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "mine.safetensors"
    config = small(out)
    words = config.command().split()[3:]
    words[words.index("--out") + 1] = str(out)
    assert command(words, StopFlag()) == 0
    extractor, record = load_extractor(str(out), "cpu"), json.loads(out.with_suffix(".json").read_text())
    assert (extractor.name, extractor.dim, extractor.channels, extractor.size) == ("mine", 8, (1,), (8, 8))
    assert record["command"] == config.command()
    assert isinstance(extractor.network, Classifier)
    got = accuracy(extractor.network, images.held_out, images.held_out_labels)
    assert got == pytest.approx(float(record["accuracy"]), abs=1e-4)
    assert got > 0.3, "chance is 0.1"
    assert f"{100 * got:.2f} % of the 360 held-out" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.json", "mine.safetensors"]


def test_stopped_training_goes_on_to_the_same_weights(tmp_path: Path, images: Images) -> None:
    images = dataclasses.replace(images, train=images.train[:320], train_labels=images.train_labels[:320])
    asked, config, cpu = iter(range(1000)), small(tmp_path / "stopped.safetensors"), torch.device("cpu")
    with pytest.raises(Stopped):
        train(config, images, cpu, lambda: next(asked) >= 5)
    resumed = train(config, images, cpu, lambda: False)
    whole = train(dataclasses.replace(config, out=tmp_path / "whole.safetensors"), images, cpu, lambda: False)
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


def test_accuracy_is_measured_with_the_weights_in_the_file(tmp_path: Path, images: Images) -> None:
    config = small(tmp_path / "fresh.safetensors")
    model = _fresh(config, images).eval()
    write(config, images, model)
    written = load_extractor(str(config.out), "cpu").network.state_dict()
    assert all(torch.equal(weight, written[name]) for name, weight in model.state_dict().items())


def test_pictures_are_shifted_as_a_whole() -> None:
    """Each is one of the nine, with the edge repeated; over 200 pictures all nine occur."""
    image = pictures(1, 3, 8).float()
    padded = nn.functional.pad(image, (1, 1, 1, 1), mode="replicate")
    nine = torch.cat([padded[:, :, i : i + 8, j : j + 8] for i in range(3) for j in range(3)])
    got = _shifted(image.expand(200, -1, -1, -1), seed=0, step=5, most=1)
    which = (got[:, None] == nine[None]).flatten(2).all(2)
    assert (which.sum(1) == 1).all()
    assert which.any(0).all()
    assert torch.equal(_shifted(nine, seed=0, step=5, most=0), nine)


def test_command_keeps_no_path_of_this_machine() -> None:
    config = ExtractorConfig(out=Path("/a/b/c.safetensors"), data=DataConfig(name="folder:/d/e/pictures"))
    assert config.command().startswith("python -m experiments.train_extractor --out c.safetensors --epochs ")
    assert "--data folder:pictures" in config.command()
    assert "/" not in config.command()


@pytest.mark.parametrize(
    "wrong",
    [{"out": Path("x.pth")}, {"epochs": 0}, {"lr": 0.0}, {"lr": float("nan")}, {"shift": -1}, {"stride": 0}],
)
def test_settings_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(UserError, match=f"{next(iter(wrong))} got"):
        ExtractorConfig(**{"out": Path("x.safetensors"), **wrong})  # type: ignore[arg-type]


def test_pictures_too_small_for_the_stride(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="stride got 4, expected at most a quarter of the pictures' 8 pixels"):
        command(["--out", str(tmp_path / "x.safetensors"), "--stride", "4"], StopFlag())
