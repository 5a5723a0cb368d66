"""Training an extractor of one's own."""

import dataclasses
import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from extractors import images_fixture, pictures  # noqa: F401
from painting import paint
from torch import nn

from experiments.cli.arguments import parse
from experiments.cli.main import StopFlag
from experiments.config.extractor import ExtractorConfig
from experiments.config.run import DataConfig
from experiments.datasets import Images
from experiments.scoring.extractors.classifier import Classifier
from experiments.scoring.extractors.load import load_extractor
from experiments.scoring.extractors.training import (
    _fresh,
    _shifted,
    accuracy,
    check_learnable,
    train,
    write,
)
from experiments.train_extractor import command
from rope_dit.checkpoint import metadata_of
from rope_dit.errors import Diverged, Stopped, UserError


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


# what cannot be learnt, or was not


def test_pictures_without_classes_are_refused_with_what_to_use_instead(tmp_path: Path) -> None:
    for i in range(4):
        paint(tmp_path / "flat" / f"{i}.png", seed=i)
    out = tmp_path / "x.safetensors"
    with pytest.raises(
        UserError, match=r"^flat has no classes; .* or use --eval\.extractor digits, cifar10"
    ) as caught:
        command(["--out", str(out), "--data", f"folder:{tmp_path / 'flat'}", "--batch", "2"], StopFlag())
    assert len(str(caught.value)) <= 192
    assert not out.exists()


@pytest.mark.parametrize("part", ["train", "held_out"])
def test_a_class_without_pictures_is_refused_by_name(images: Images, part: str) -> None:
    check_learnable(images)
    labels = getattr(images, f"{part}_labels")
    emptied = dataclasses.replace(images, **{f"{part}_labels": labels % 8})
    with pytest.raises(
        UserError, match=r"^2 of 10 classes of digits have no (training|held-out) pictures"
    ) as caught:
        check_learnable(emptied)
    assert caught.value.details == ("8", "9")


def permuted(images: Images) -> Images:
    order = torch.randperm(len(images.train), generator=torch.Generator().manual_seed(0)).numpy()
    return dataclasses.replace(images, train_labels=images.train_labels[order])


def constant(images: Images) -> Images:
    return dataclasses.replace(images, train=images.train * 0 + 7, held_out=images.held_out * 0 + 7)


def one_held_out(images: Images) -> Images:
    """Which a guess finds too."""
    return dataclasses.replace(
        images, held_out=images.held_out[:1], held_out_labels=images.held_out_labels[:1]
    )


@pytest.mark.parametrize("change", [permuted, constant, one_held_out])
def test_an_accuracy_that_a_guess_has_too_is_said_then_and_whenever_it_is_used(
    tmp_path: Path, images: Images, caplog: pytest.LogCaptureFixture, change: Callable[[Images], Images]
) -> None:
    config, changed = small(tmp_path / "mine.safetensors"), change(images)
    score = write(config, changed, train(config, changed, torch.device("cpu"), lambda: False))
    says = (
        f"extractor mine.safetensors: it recognises {100 * score:.2f} % of {len(changed.held_out)} held-out"
    )
    assert [says in record.getMessage() for record in caplog.records] == [True]
    caplog.clear()
    load_extractor(str(config.out), "cpu")
    assert [says in record.getMessage() for record in caplog.records] == [True]


def test_what_was_learnt_is_used_without_a_word(
    tmp_path: Path, images: Images, caplog: pytest.LogCaptureFixture
) -> None:
    config = small(tmp_path / "mine.safetensors")
    write(config, images, train(config, images, torch.device("cpu"), lambda: False))
    load_extractor(str(config.out), "cpu")
    assert not caplog.records


def test_weights_that_ran_away_are_not_written(tmp_path: Path, images: Images) -> None:
    config = dataclasses.replace(small(tmp_path / "mine.safetensors"), lr=1e30)
    with pytest.raises(Diverged, match=r"weights are not finite .* Lower lr \(now 1e\+30\)"):
        train(config, images, torch.device("cpu"), lambda: False)


# the file


@pytest.fixture(name="written")
def written_fixture(tmp_path: Path, images: Images) -> Path:
    """A file that was not trained, alone as after a move."""
    config = small(tmp_path / "mine.safetensors")
    write(config, images, _fresh(config, images).eval())
    config.out.with_suffix(".json").unlink()
    return config.out


@pytest.mark.parametrize("where", [b'"image_size":"8x8"', b'"accuracy":"0', b'"data":"dig', "tensors"])
def test_a_flipped_byte_anywhere_is_noticed_without_the_json(written: Path, where: bytes | str) -> None:
    load_extractor(str(written), "cpu")
    content = bytearray(written.read_bytes())
    content[-5 if isinstance(where, str) else content.index(where) + len(where) - 2] ^= 1
    written.write_bytes(content)
    with pytest.raises(UserError, match=r"extractor mine\.safetensors is damaged"):
        load_extractor(str(written), "cpu")


def test_a_file_of_an_earlier_version_is_read_and_said_to_have_no_sha256(
    written: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tensors, meta = safetensors.torch.load_file(written), metadata_of(written.read_bytes())
    del meta["content_sha256"], meta["guess"], meta["accuracy"]
    safetensors.torch.save_file(tensors, written, meta)
    assert load_extractor(str(written), "cpu").name == "mine"
    assert ["has no SHA-256" in record.getMessage() for record in caplog.records] == [True]


def test_a_json_that_was_edited_is_named(tmp_path: Path, images: Images) -> None:
    config = small(tmp_path / "mine.safetensors")
    write(config, images, _fresh(config, images).eval())
    file = config.out.with_suffix(".json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"accuracy": "0.9999"}))
    with pytest.raises(UserError, match=r"mine\.json gives it another accuracy"):
        load_extractor(str(config.out), "cpu")


@pytest.mark.parametrize("beside", [False, True])
def test_a_pipe_or_a_device_is_no_extractor(written: Path, beside: bool) -> None:
    """Neither waited for nor read without end; nor what lies in the place of the .json."""
    bad = written.with_suffix(".json") if beside else written
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir):
        bad.unlink(missing_ok=True)
        make(bad)
        with pytest.raises(UserError, match=r"is a (pipe|device|folder)"):
            load_extractor(str(written), "cpu")
    bad.rmdir()


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("file/mine.safetensors", "--out: .*file is no folder that can be written; choose another --out"),
        ("folder.safetensors", "folder.safetensors', expected the name of a file; that is a folder"),
        ("taken.safetensors", "taken.json', expected the name of a file; that is a folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_before_the_training(tmp_path, monkeypatch, out, says):
    monkeypatch.setattr("experiments.scoring.extractors.training.train", lambda *args: 1 / 0)
    (tmp_path / "file").touch()
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "taken.json").mkdir()
    with pytest.raises(UserError, match=says):
        command(["--out", str(tmp_path / out)], StopFlag())
