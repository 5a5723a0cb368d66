"""Inception is torch-fidelity's to the bit; here with random weights in the published file's format."""

import pathlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from extractors import equal, pictures
from torch import Tensor, nn
from torch.utils.data import Dataset

from experiments.scoring.extractors.base import Extractor, Features
from experiments.scoring.extractors.load import load_extractor
from experiments.scoring.metrics import measure_all
from rope_dit.errors import UserError


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


def test_a_path_says_where_the_weights_are(inception: Extractor, inception_file: Path) -> None:
    made = load_extractor(f"inception:{inception_file}", "cpu")
    assert (made.name, made.sha256) == (inception.name, inception.sha256)


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
    with pytest.raises(UserError, match="wants pictures of 1 or 3 channels, any size; got 4 channels, 16x16"):
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
    from experiments.scoring.extractors import inception as ours

    name = ours.URL_INCEPTION_V3.rpartition("/")[2]
    (tmp_path / name).write_bytes(b"not the weights")
    monkeypatch.setattr(ours, "URL_INCEPTION_V3", f"{url.format(folder=tmp_path)}/{name}")
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
