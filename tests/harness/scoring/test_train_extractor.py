"""Training an extractor of one's own."""

import dataclasses
import json
import shlex
from pathlib import Path

import pytest
import torch
from extractors import images_fixture, pictures  # noqa: F401
from torch import nn

from experiments.cli.arguments import parse
from experiments.cli.main import StopFlag
from experiments.config.extractor import ExtractorConfig
from experiments.config.run import DataConfig
from experiments.datasets import Images
from experiments.scoring.extractors.classifier import Classifier
from experiments.scoring.extractors.load import load_extractor
from experiments.scoring.extractors.training import _fresh, _shifted, accuracy, train, write
from experiments.train_extractor import command
from rope_dit.errors import Stopped, UserError


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


def test_command_can_be_typed_where_the_data_lie() -> None:
    config = ExtractorConfig(
        out=Path("/a/it's.safetensors"), data=DataConfig(name="folder:/d/my pics"), flip=True, lr=0.5
    )
    words = shlex.split(config.command())
    assert words[:3] == ["python", "-m", "experiments.train_extractor"]
    again = parse(ExtractorConfig, None, words[3:], "", "")
    assert again == dataclasses.replace(
        config, out=Path("it's.safetensors"), data=DataConfig(name="folder:my pics")
    )


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
