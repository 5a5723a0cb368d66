"""What folders hold besides plain pictures: parts by other names, clutter, archives, odd and equal ones."""

import io
import json
import shlex
import struct

import numpy as np
import pytest
from painting import (  # noqa: F401
    cache_folder_fixture,
    folder,
    folder_lines,
    noise,
    paint,
    paint_classes,
    refusal,
    root_fixture,
)
from PIL import Image

from experiments.config.run import DataConfig
from experiments.datasets import Images, load
from experiments.datasets import remarks as remarks_module
from experiments.datasets.remarks import remarks


@pytest.fixture(name="said")
def said_fixture(caplog):
    """The lines of what was said so far, by this test as by a process of its own."""
    remarks_module._say.cache_clear()
    return lambda: [line.strip() for record in caplog.records for line in record.getMessage().split("\n")]


# Parts


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("train", "valid"),
        ("Train", "Test"),
        ("training", "testing"),
        ("TRAIN", "validation"),
        ("train", "Dev"),
    ],
)
@pytest.mark.parametrize("classes", [("cat", "dog"), ("",)])
def test_parts_are_known_under_all_their_names(root, said, first, second, classes):
    for name in classes:
        paint_classes(root, {f"{first}/{name}": 3, f"{second}/{name}": 2})
    images = folder(root)
    assert images.classes == tuple(name or "all" for name in classes)
    assert (len(images.train), len(images.held_out)) == (3 * len(classes), 2 * len(classes))
    assert f"trained on: {first}/; held out: {second}/" in said()


def test_of_several_second_parts_the_first_is_taken_and_the_others_are_named(root, said):
    paint_classes(root, {"train": 4, "valid": 3, "Test": 2, "extra/deep": 5})
    paint(root / "stray.png")
    assert len(folder(root).held_out) == 2
    assert "left out: extra/ (5 files), valid/ (3 files), 1 pictures beside train/ and Test/" in said()


@pytest.mark.parametrize(
    "names", [("train", "Train", "test"), ("train", "training", "val"), ("train", "val", "Val")]
)
def test_two_names_for_one_part_are_refused(root, names):
    paint_classes(root, dict.fromkeys(names, 2))
    if len(list(root.iterdir())) < len(names):
        pytest.skip("this file system takes both for one name")
    assert "rename all but one" in str(refusal(folder, root))


def test_a_class_named_test_needs_no_train_part_beside_it(root):
    paint_classes(root, {"cat": 2, "Test": 2, "valid": 2})
    assert folder(root).classes == ("Test", "cat", "valid")


# What is left out


def test_what_is_no_picture_is_counted_and_said_once(root, said, capsys):
    paint_classes(root, {"a": 3, "b": 2})
    for name in ("a/1.txt", "a/2.TXT", "b/README", "labels.csv", ".DS_Store", "b/Thumbs.db", "a/._0.png"):
        (root / name).write_bytes(b"x")
    folder(root)
    folder(root, held_out=0.2)
    counted = "2 .txt, 1 .csv, 1 without suffix, 1 .DS_Store, 1 hidden, 1 Thumbs.db"
    (line,) = [line for line in said() if line.startswith("used")]
    assert line.startswith("used 5 of 12 files; not pictures: 2 .txt, ")
    assert sorted(line.partition(": ")[2].split(", ")) == sorted(counted.split(", "))


def test_pictures_under_other_names_are_read(root, said):
    pixels = paint(root / "a" / "0.png")
    for name, form in (("1.tif", "TIFF"), ("2.TIFF", "TIFF"), ("3", "PNG"), ("4", "BMP"), ("5", "GIF")):
        Image.fromarray(pixels).quantize(48).convert("RGB").save(root / "a" / name, form)
    for name in ("6.jfif", "7.jpe", "8"):
        Image.fromarray(pixels).save(root / "a" / name, "JPEG", quality=100, subsampling=0)
    images = folder(root)
    found = np.concatenate([images.train, images.held_out]).astype(int)
    assert found.shape == (9, 3, 6, 8)
    assert np.abs(found - pixels.transpose(2, 0, 1)).max() < 12
    assert not [line for line in said() if line.startswith("used")]


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate", "packbits"])
def test_tiffs_are_read_upright_and_deep_ones_refused(root, compression):
    upright = noise(1, 4, 6, 3)
    turned = np.rot90(upright, 1).copy()
    paint(root / "a.tif", turned, compression=compression, tiffinfo={274: 6})
    paint(root / "b.png", upright)
    images = folder(root)
    assert (np.concatenate([images.train, images.held_out]) == upright.transpose(2, 0, 1)).all()
    (root / "c.tif").write_bytes(deep_tiff())
    assert folder_lines(refusal(folder, root))["c.tif"].startswith("wrong mode: more than 8 bits")


def deep_tiff():
    """A TIFF of 6x4 pixels with 16 bits a channel, made by hand: Pillow writes no such picture."""
    head, data = struct.pack("<2sHI", b"II", 42, 8), bytes(4 * 6 * 3 * 2)
    fields = [(256, 3, 1, 6), (257, 3, 1, 4), (258, 3, 3, 200), (259, 3, 1, 1), (262, 3, 1, 2),
              (273, 4, 1, 206), (277, 3, 1, 3), (278, 3, 1, 4), (279, 4, 1, len(data))]  # fmt: skip
    ifd = struct.pack("<H", len(fields)) + b"".join(struct.pack("<HHII", *f) for f in fields) + bytes(4)
    return (head + ifd).ljust(200, b"\0") + struct.pack("<3H", 16, 16, 16) + data


def test_folders_without_pictures_are_no_classes(root, said):
    paint_classes(root, {"": 6})
    (root / "__MACOSX" / "deep").mkdir(parents=True)
    for name in ("__MACOSX/._0.png", "notes/a.txt", ".ipynb_checkpoints/0.png", "@eaDir/0.png"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"x")
    assert folder(root).classes == ("all",)
    assert "left out: .ipynb_checkpoints/, @eaDir/, __MACOSX/, notes/ (no pictures)" in said()


def test_an_empty_folder_in_a_class_or_beside_classes_is_left_out(root, said):
    paint_classes(root, {"a": 3, "b": 3})
    (root / "a" / "tmp").mkdir()
    (root / "empty").mkdir()
    assert folder(root).classes == ("a", "b")
    assert "left out: a/tmp/ (no pictures), empty/ (no pictures)" in said()


def test_a_class_that_is_empty_in_one_part_is_refused(root):
    paint_classes(root, {"train/a": 2, "train/b": 2, "test/a": 1})
    (root / "test" / "b").mkdir()
    assert "too few pictures: 0 of 0" in folder_lines(refusal(folder, root))["class 'b' in test/"]


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("my pics.zip", "unzip {root}/my pics.zip -d {root}/my pics"),
        ("a.tar.gz", "mkdir {root}/a && tar -xf {root}/a.tar.gz -C {root}/a"),
        ("a.TGZ", "mkdir {root}/a && tar -xf {root}/a.TGZ -C {root}/a"),
        ("it's.7z", "7z x {root}/it's.7z -o{root}/it's"),
        ("images-idx3-ubyte.gz", ""),
        ("a.npz", ""),
        ("a.parquet", ""),
    ],
)
def test_archives_say_what_to_do(root, said, name, command):
    root.mkdir()
    (root / name).write_bytes(b"x")
    (advice,) = refusal(folder, root / name).details
    assert advice in " ".join(refusal(folder, root).details)
    paint_classes(root, {"a": 3})
    folder(root)
    assert advice in " ".join(said())
    if command:
        unpacking, _, option = advice.removeprefix("unpack it: ").partition(", then --data ")
        assert " ".join(shlex.split(unpacking)) == command.format(root=root)
        assert shlex.split(option) == [f"folder:{root / name.partition('.')[0]}"]
    else:
        assert advice.startswith(("unpack it, and give", "save its pictures as PNG files"))


def test_names_that_unicode_composes_differently_are_one_class(root):
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    paint_classes(root, {f"train/{composed}": 2, f"test/{decomposed}": 1})
    assert folder(root).classes == (composed,)


def test_a_name_with_one_spelling_stays_as_it_is(root):
    paint_classes(root, {"cafe\u0301": 3})
    assert folder(root).classes == ("cafe\u0301",)  # it is part of the fingerprint of earlier runs


# Odd pictures


def opaque(root, form):
    colours = noise(1, 4, 3)[noise(2, 6, 6) % 4]
    picture = Image.fromarray(colours)
    match form:
        case "RGBA":
            picture.convert("RGBA").save(root / "a.png")
        case "LA":
            picture.convert("L").convert("LA").save(root / "a.png")
        case "PNG" | "GIF" as name:
            picture.quantize(4).save(
                root / f"a.{name.lower()}", transparency=200 if name == "GIF" else 3 * b"\xff"
            )
        case "colour key":
            picture.save(root / "a.png", transparency=(1, 2, 3))
    grey = form == "LA"
    return np.array(picture.convert("L"))[None] if grey else colours.transpose(2, 0, 1)


@pytest.mark.parametrize("form", ["RGBA", "LA", "PNG", "GIF", "colour key"])
def test_transparency_that_no_pixel_has_loses_nothing(root, form):
    root.mkdir()
    pixels = opaque(root, form)
    paint(root / "b.png", pixels[0] if form == "LA" else pixels.transpose(1, 2, 0).copy())
    images = folder(root)
    assert (np.concatenate([images.train, images.held_out]) == pixels).all()


@pytest.mark.parametrize(
    "field", [struct.pack("<HHIi", 0x11A, 9, 1, -5), struct.pack("<HHIf", 0x11A, 11, 1, float("nan"))]
)
def test_odd_fields_beside_a_plain_orientation_are_not_read(root, field):
    for name, extra in (("odd", field), ("plain", struct.pack("<HHII", 0x11A, 4, 1, 72))):
        jpeg = io.BytesIO()
        Image.fromarray(noise(3, 16, 24, 3)).save(jpeg, "JPEG")
        data = jpeg.getvalue()
        exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + struct.pack("<HHIHH", 0x112, 3, 1, 6, 0)
        exif += extra + struct.pack("<I", 0)
        segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
        (root).mkdir(exist_ok=True)
        (root / f"{name}.jpg").write_bytes(data[:2] + segment + data[2:])
    images = folder(root)
    assert images.train.shape == (1, 3, 24, 16)
    assert (images.train == images.held_out).all()


def test_pictures_that_are_enlarged_are_said_from_the_cache_too(root, said):
    paint_classes(root, {"a": 3})
    paint(root / "a" / "big.png", noise(1, 9, 9, 3))
    line = "pictures that are enlarged to 8x8: 3 of 4 (3 of 8x6)"
    for _ in range(2):
        folder(root, image_size=8)
    assert said().count(line) == 1  # in a process
    remarks_module._say.cache_clear()
    folder(root, image_size=8)
    assert said().count(line) == 2


# Equal pictures


def test_equal_pictures_are_named(root, said):
    paint_classes(root, {"train/a": 3, "train/b": 3, "test/a": 1, "test/b": 1})
    for name in ("train/b/0.bmp", "test/a/0.png", "train/a/copy.png"):
        paint(root / name, seed=1)  # as train/a/1.png
    folder(root)
    assert said()[1:] == [
        "held-out pictures that are trained on too: 1 (train/a/1.png = test/a/0.png)",
        "pictures in two classes: 1 (train/a/1.png = train/b/0.bmp)",
        "pictures that repeat another of their class: 1",
    ]


def made(**changes):
    pixels, labels = noise(1, 6, 1, 4, 4), np.array([0, 0, 1, 1, 0, 1])
    given = {
        "train": pixels[:4],
        "train_labels": labels[:4],
        "held_out": pixels[4:],
        "held_out_labels": labels[4:],
    }
    return Images(**{**given, "classes": ("a", "b"), "name": "mine", **changes})


def test_other_data_sets_are_looked_at_too():
    assert remarks(made()) == []
    assert remarks(load(DataConfig())) == []
    train = made().train
    assert remarks(made(held_out=train[:2])) == [
        "held-out pictures that are trained on too: 2 (train 0 = held-out 0, train 1 = held-out 1)",
        "pictures in two classes: 1 (train 1 = held-out 1)",
    ]
    blank = train.copy()
    blank[2] = 7
    assert remarks(made(train=blank)) == ["pictures of one colour: 1 (train 2)"]
    assert remarks(made(classes=("a", "b", "c"))) == ["classes without a training picture: 1 (c)"]


def test_what_is_no_array_is_refused_by_name():
    assert str(refusal(made, train=[1])) == "mine: train got 'list', expected a NumPy array."
    assert str(refusal(made, held_out_labels=None)) == (
        "mine: held_out_labels got 'NoneType', expected a NumPy array."
    )


def test_remarks_are_no_part_of_the_fingerprint(root):
    paint_classes(root, {"a": 3, "b": 2})
    before = folder(root).fingerprint
    (root / "notes.json").write_text(json.dumps({}))
    assert folder(root).fingerprint == before
