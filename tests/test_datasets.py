"""Data sets: what they return, how they split, and what they say of pictures that cannot be used."""

import hashlib
import io
import os
import pickle
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from experiments.config import DataConfig
from experiments.datasets import Images, cache, load
from experiments.datasets.base import stratified_split
from experiments.registries import DATASETS
from rope_dit.errors import UserError


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ROPE_DIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def no_network(monkeypatch):
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing listens there: refused at once
    monkeypatch.setenv("no_proxy", "")


@pytest.fixture
def root(tmp_path):
    return tmp_path / "pictures"


def noise(seed, *shape):
    return np.random.Generator(np.random.PCG64(seed)).integers(0, 256, shape, dtype=np.uint8)


def paint(path, pixels=None, seed=0, **options):
    """Save [H, W] or [H, W, C] pixels, or 6x8 noise, as the picture `path`, and return the pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = noise(seed, 6, 8, 3) if pixels is None else pixels
    Image.fromarray(pixels).save(path, **options)
    return pixels


def paint_classes(root, counts, suffix=".png"):
    for i, (name, count) in enumerate(counts.items()):
        for j in range(count):
            paint(root / name / f"{j}{suffix}", seed=100 * i + j)


def folder(root, **settings):
    return load(DataConfig(name=f"folder:{root}", **settings))


def refusal(build, *args, **kwargs):
    """The UserError of a call, whose first line must be one short line."""
    with pytest.raises(UserError) as caught:
        build(*args, **kwargs)
    assert len(str(caught.value)) <= 200
    assert all(line.isprintable() for line in (str(caught.value), *caught.value.details))
    return caught.value


# Images


def example(**changes):
    parts = {"train": noise(1, 4, 1, 2, 3), "train_labels": np.array([0, 1, 1, 0]),
             "held_out": noise(2, 2, 1, 2, 3), "held_out_labels": np.array([1, 0]),
             "classes": ("cat", "dog"), "name": "example"}  # fmt: skip
    return Images(**{**parts, **changes})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"train": noise(1, 4, 1, 2, 3).astype(np.float32)}, "float32"),
        ({"train": noise(1, 4, 2, 3)}, "uint8[4, 2, 3]"),
        ({"held_out": noise(1, 0, 1, 2, 3), "held_out_labels": np.zeros(0, np.int64)}, "not empty"),
        ({"held_out": noise(1, 2, 3, 2, 3)}, "as in train"),
        ({"train_labels": np.array([0, 1, 1])}, "int64[4]"),
        ({"train_labels": np.array([0, 1, 1, 0], np.int32)}, "int32"),
        ({"train_labels": np.array([0, 1, 2, 0])}, "0 to 1"),
        ({"held_out_labels": np.array([-1, 0])}, "0 to 1"),
        ({"classes": ("cat", "cat")}, "each once"),
        ({"classes": ()}, "at least one"),
    ],
)
def test_images_refuses_what_does_not_fit(changes, says):
    assert says in str(refusal(example, **changes))


def test_fingerprint_changes_with_a_pixel_a_label_and_a_class_name():
    base = example()
    changed = {"base": base.fingerprint}
    for part in ("train", "held_out", "train_labels", "held_out_labels"):
        array = getattr(base, part).copy()
        array.flat[0] ^= 1
        changed[part] = replace(base, **{part: array}).fingerprint
    changed["classes"] = replace(base, classes=("cat", "cow")).fingerprint
    changed["order"] = replace(base, classes=("dog", "cat")).fingerprint
    changed["shape"] = replace(
        base, train=base.train.reshape(4, 1, 3, 2), held_out=base.held_out.reshape(2, 1, 3, 2)
    ).fingerprint
    assert len(set(changed.values())) == len(changed), changed
    assert replace(base, name="other").fingerprint == base.fingerprint
    assert example().fingerprint == base.fingerprint


def test_fingerprint_sees_values_not_memory_layout():
    base = example()
    turned = np.asfortranarray(base.train)
    assert replace(base, train=turned).fingerprint == base.fingerprint


# The split


@given(st.lists(st.integers(0, 4), min_size=2, max_size=60), st.floats(0.01, 0.99))
def test_split_is_a_stratified_partition(labels, share):
    labels = np.array(labels)
    train, held_out = stratified_split(labels, round(share * len(labels)))
    assert sorted([*train, *held_out]) == list(range(len(labels)))
    for label in set(labels):
        total, taken = np.sum(labels == label), np.sum(labels[held_out] == label)
        quota = round(share * len(labels)) * total / len(labels)
        assert min(np.floor(quota), total - 1) <= taken <= max(np.ceil(quota), 1)
        assert total == 1 or 1 <= taken < total


def test_split_is_random_within_a_class():
    _, held_out = stratified_split(np.zeros(1000, np.int64), 100)
    assert np.abs(held_out.mean() - 499.5) < 120  # standard error 29
    assert np.ptp(held_out) > 800


# Every registered data set


@pytest.mark.parametrize("name", DATASETS.names())
def test_without_files_or_network_a_dataset_loads_or_says_what_to_do(name, tmp_path, no_network, capsys):
    config = DataConfig(name=name, root=tmp_path / "nothing")
    try:
        images = load(config)
    except UserError:
        assert "folder:PATH" in str(refusal(load, config))
    else:
        assert images.name == name
        assert load(config).fingerprint == images.fingerprint
    assert DATASETS[name].summary


@pytest.mark.parametrize("name", [name for name in DATASETS.names() if name != "folder"])
def test_what_has_no_effect_is_refused(name, tmp_path):
    assert "nothing after ':'" in str(refusal(load, DataConfig(name=f"{name}:x", root=tmp_path)))
    assert f"'{name}:'" in str(refusal(load, DataConfig(name=f"{name}:", root=tmp_path)))
    assert "image-size" in str(refusal(load, DataConfig(name=name, root=tmp_path, image_size=16)))
    assert "held-out" in str(refusal(load, DataConfig(name=name, root=tmp_path, held_out=0.5)))


def test_unknown_dataset_gets_the_nearest_name():
    assert "Did you mean 'cifar10'?" in str(refusal(load, DataConfig(name="cifar01")))
    assert "Did you mean 'folder'?" in str(refusal(load, DataConfig(name="foldr:/a:b")))


# digits


def test_digits_are_sklearns_split_by_class():
    from sklearn.datasets import load_digits

    data, images = load_digits(), load(DataConfig(name="digits"))
    assert images.train.shape == (1437, 1, 8, 8)
    assert images.held_out.shape == (360, 1, 8, 8)
    assert images.classes == tuple("0123456789")
    pairs = zip(data.target, data.data, strict=True)
    expected = sorted((int(label), bytes(round(v * 255 / 16) for v in row)) for label, row in pairs)
    pixels = np.concatenate([images.train, images.held_out])
    labels = np.concatenate([images.train_labels, images.held_out_labels])
    found = zip(labels, pixels, strict=True)
    assert sorted((int(label), picture.tobytes()) for label, picture in found) == expected
    counts = np.bincount(labels)
    assert np.abs(np.bincount(images.held_out_labels) - counts * 360 / 1797).max() < 1


DIGITS = "128890fb235a88a2fc57663ce012a4d90cb696274f85e2acafced1af4ac22d97"


def test_digits_never_change():
    # The extractor that comes with the project was trained on this split.
    assert load(DataConfig(name="digits")).fingerprint == DIGITS


# CIFAR


@pytest.mark.parametrize(
    ("name", "files"), [("cifar10", "cifar-10-batches-py"), ("cifar100", "cifar-100-python")]
)
def test_cifar_without_files_and_network_says_what_to_do(name, files, tmp_path, no_network, capsys):
    error = refusal(load, DataConfig(name=name, root=tmp_path))
    assert f"Put {files}/ there" in str(error)
    assert "--data folder:PATH" in str(error)
    assert str(tmp_path) in error.details[0]
    assert "refused" in error.details[1]


def test_cifar_root_that_cannot_be_written_is_a_user_error(tmp_path):
    (tmp_path / "file").write_text("")
    assert "--data.root" in str(refusal(load, DataConfig(name="cifar10", root=tmp_path / "file")))


def test_cifar_reads_the_published_layout(tmp_path, monkeypatch, no_network):
    """Small batches in the published format, with their check sums in place of the published ones."""
    from torchvision.datasets import CIFAR10

    def batch(name, content):
        data = pickle.dumps(content)
        (tmp_path / CIFAR10.base_folder / name).write_bytes(data)
        return [name, hashlib.md5(data).hexdigest()]

    (tmp_path / CIFAR10.base_folder).mkdir()
    pixels = noise(3, 12, 3, 32, 32)
    rows = [
        {"data": x.reshape(2, 3072), "labels": [i, 9 - i]} for i, x in enumerate(pixels.reshape(6, 2, -1))
    ]
    classes = [f"class {i}" for i in range(10)]
    meta = batch(CIFAR10.meta["filename"], {"label_names": classes})
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": meta[1]})
    monkeypatch.setattr(CIFAR10, "train_list", [batch(f"data_batch_{i + 1}", rows[i]) for i in range(5)])
    monkeypatch.setattr(CIFAR10, "test_list", [batch("test_batch", rows[5])])
    images = load(DataConfig(name="cifar10", root=tmp_path))
    np.testing.assert_array_equal(images.train, pixels[:10])
    np.testing.assert_array_equal(images.held_out, pixels[10:])
    assert images.train_labels.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]
    assert images.held_out_labels.tolist() == [5, 4]
    assert (images.classes, images.name) == (tuple(classes), "cifar10")


# Folders: layouts


def test_class_folders_are_split_per_class(root, capsys):
    paint_classes(root, {"dog": 20, "cat": 10})
    (root / ".hidden").mkdir()
    (root / "cat" / ".0.png").write_text("hidden")
    (root / "labels.csv").write_text("a,b")
    images = folder(root, held_out=0.2)
    assert images.classes == ("cat", "dog")
    assert images.train.shape == (24, 3, 6, 8)
    assert np.bincount(images.train_labels).tolist() == [8, 16]
    assert np.bincount(images.held_out_labels).tolist() == [2, 4]
    assert images.name == "pictures"
    assert capsys.readouterr() == ("", "")  # no progress bar where there is no terminal
    everything = np.concatenate([images.train, images.held_out])
    labels = np.concatenate([images.train_labels, images.held_out_labels])
    for label, seeds in ((1, range(20)), (0, range(100, 110))):
        expected = {noise(seed, 6, 8, 3).transpose(2, 0, 1).tobytes() for seed in seeds}
        assert {x.tobytes() for x in everything[labels == label]} == expected


def test_pictures_without_classes(root):
    for i in range(10):
        paint(root / f"{i}.bmp", noise(i, 5, 5))
    images = folder(root)
    assert images.classes == ("all",)
    assert (images.train.shape, images.held_out.shape) == ((9, 1, 5, 5), (1, 1, 5, 5))


@pytest.mark.parametrize("second", ["test", "val"])
@pytest.mark.parametrize("classes", [("cat", "dog"), ("",)])
def test_train_and_test_folders_are_the_split(root, second, classes):
    for i, name in enumerate(classes):
        for j in range(3):
            paint(root / "train" / name / f"{j}.png", seed=10 * i + j)
        paint(root / second / name / "0.png", seed=100 + i)
    images = folder(root)
    order = [10 * i + j for i in range(len(classes)) for j in range(3)]
    np.testing.assert_array_equal(images.train, [noise(s, 6, 8, 3).transpose(2, 0, 1) for s in order])
    np.testing.assert_array_equal(
        images.held_out, [noise(100 + i, 6, 8, 3).transpose(2, 0, 1) for i in range(len(classes))]
    )
    assert images.train_labels.tolist() == [i for i in range(len(classes)) for _ in range(3)]
    assert images.held_out_labels.tolist() == list(range(len(classes)))
    assert images.classes == tuple(name or "all" for name in classes)
    assert "held-out" in str(refusal(folder, root, held_out=0.3))


def test_test_comes_before_val(root):
    paint_classes(root, {"train": 4, "val": 3, "test": 2})
    assert len(folder(root).held_out) == 2


@pytest.mark.parametrize("name", ["train", "test", "val"])
def test_one_part_alone_is_a_class(root, name):
    paint_classes(root, {name: 2, "cat": 2})
    assert folder(root).classes == ("cat", name)


def test_a_class_must_be_in_both_parts(root):
    paint_classes(root / "train", {"cat": 3, "dog": 3})
    paint_classes(root / "test", {"cat": 1, "cow": 1})
    assert folder_lines(refusal(folder, root)) == {
        "class 'cow' in train/": "too few pictures: 0 of 0 usable, 1 needed",
        "class 'dog' in test/": "too few pictures: 0 of 0 usable, 1 needed",
    }


def test_order_of_creation_does_not_matter(tmp_path):
    names = [f"{c}/{i}.png" for c in ("b", "a") for i in range(6)]
    fingerprints = set()
    for where, order in (("x", names), ("y", names[::-1])):
        for name in order:
            paint(tmp_path / where / name, seed=names.index(name))
        fingerprints.add(folder(tmp_path / where).fingerprint)
    assert len(fingerprints) == 1


def test_home_and_links_inside_the_folder_are_followed(root, monkeypatch):
    monkeypatch.setenv("HOME", str(root.parent))
    paint_classes(root, {"cat": 3})
    (root / "cat" / "link.png").symlink_to(root / "cat" / "0.png")
    (root / "dog").symlink_to(root / "cat")
    images = folder("~/pictures", held_out=0.5)
    assert (len(images.train), len(images.held_out), images.classes) == (4, 4, ("cat", "dog"))


# Folders: decoding


def decoded(root, **settings):
    """All pictures of a folder without classes, in no certain order."""
    images = folder(root, **settings)
    return np.concatenate([images.train, images.held_out])


def test_formats_that_hold_the_same_picture_decode_alike(root):
    grey = noise(1, 6, 6) // 128 * 255
    for name in ("a.png", "b.BMP"):
        paint(root / name, grey)
    Image.fromarray(grey).convert("1").save(root / "c.png")
    assert (decoded(root) == grey).all()
    assert decoded(root).shape == (3, 1, 6, 6)


def test_colour_formats_and_opaque_palettes_lose_nothing(root):
    colours = noise(1, 4, 3)[noise(2, 6, 6) % 4]
    paint(root / "a.png", colours)
    paint(root / "b.webp", colours, lossless=True)
    palette = Image.fromarray(colours).quantize(4)
    palette.save(root / "c.png")
    frames = [Image.fromarray(noise(3, 6, 6, 3)).quantize(4)]
    palette.save(root / "d.gif", save_all=True, append_images=frames)
    jpeg = Image.fromarray(colours)
    jpeg.save(root / "e.jpeg", quality=100, subsampling=0)
    pixels = decoded(root).astype(int)
    assert pixels.shape == (5, 3, 6, 6)
    error = np.sort(np.abs(pixels - colours.transpose(2, 0, 1)).max((1, 2, 3)))
    assert error[:4].tolist() == [0, 0, 0, 0]
    assert error[4] < 10  # the JPEG


def test_camera_orientation_is_applied(root):
    upright = noise(1, 4, 6, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # EXIF: turn 90 degrees clockwise to view
    paint(root / "a.png", np.rot90(upright, 1).copy(), exif=exif)
    paint(root / "b.png", upright)
    assert (decoded(root) == upright.transpose(2, 0, 1)).all()


def test_image_size_crops_the_centre_without_blur(root):
    wide, tall = paint(root / "wide.png", noise(1, 8, 13, 3)), paint(root / "tall.png", noise(2, 13, 8, 3))
    expected = {crop.transpose(2, 0, 1).tobytes() for crop in (wide[:, 2:10], tall[2:10])}
    assert {picture.tobytes() for picture in decoded(root, image_size=8)} == expected


def test_image_size_resizes_with_antialiasing(root):
    checks = (np.indices((64, 96)).sum(0) % 2 * 255).astype(np.uint8)
    paint(root / "a.png", checks)
    paint(root / "b.png", checks[:40, :40].copy())
    small = decoded(root, image_size=8)
    assert small.shape == (2, 1, 8, 8)
    assert np.abs(small.astype(int) - 127).max() < 16  # taking every eighth pixel would give 0 or 255
    paint(root / "a.png", np.full((2, 3), 200, np.uint8))
    assert (decoded(root, image_size=8) == 200).any()


def test_a_line_of_pixels_is_resized_without_a_huge_picture_in_between(root):
    for name in "ab":
        paint(root / f"{name}.png", np.full((1, 50_000), 7, np.uint8))
    assert (decoded(root, image_size=64) == 7).all()


# Folders: pictures that cannot be used


def png(width, height, depth, colour, raw=b""):
    """A PNG file, made by hand: Pillow writes no 16-bit colour and no picture with a false size."""

    def chunk(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def encoded(form, mode="RGB", **options):
    file = io.BytesIO()
    Image.fromarray(noise(9, 6, 8, 3)).convert(mode).save(file, form, **options)
    return file.getvalue()


def flipped(data, position):
    return data[:position] + bytes([data[position] ^ 255]) + data[position + 1 :]


BAD = {
    "cut.jpg": (encoded("JPEG")[:-40], "corrupt: image file is truncated"),
    "cut.png": (encoded("PNG")[:-40], "corrupt: "),
    "cut.webp": (encoded("WEBP")[:-20], "corrupt: "),
    "cut.gif": (encoded("GIF")[:-20], "corrupt: "),
    "cut.bmp": (encoded("BMP")[:-20], "corrupt: "),
    "flipped.png": (flipped(encoded("PNG"), 70), "corrupt: "),
    "header.png": (encoded("PNG")[:7], "not an image: "),
    "empty.png": (b"", "empty file: 0 bytes"),
    "text.jpg": (b"<html>not found</html>", "not an image: "),
    "tiff.png": (encoded("TIFF"), "not an image: "),
    "grey.png": (encoded("PNG", "L"), "wrong mode: grey, but most are RGB"),
    "alpha.png": (encoded("PNG", "RGBA"), "wrong mode: RGBA with transparency"),
    "grey_alpha.png": (encoded("PNG", "LA"), "wrong mode: LA with transparency"),
    "palette_alpha.png": (encoded("PNG", "P", transparency=0), "wrong mode: P with transparency"),
    "colour_key.png": (encoded("PNG", transparency=(1, 2, 3)), "wrong mode: RGB with transparency"),
    "cmyk.jpg": (encoded("JPEG", "CMYK"), "wrong mode: CMYK; convert it to RGB"),
    "deep_grey.png": (png(8, 6, 16, 0, bytes(6 * 17)), "wrong mode: more than 8 bits"),
    "deep_colour.png": (png(8, 6, 16, 2, bytes(6 * 49)), "wrong mode: more than 8 bits"),
    "wrong_size.png": (png(5, 7, 8, 2, bytes(7 * 16)), "wrong size: 5x7, but most are 8x6"),
    "bomb.png": (png(9500, 9500, 8, 0), "too large: "),
    "big_bomb.png": (png(30000, 30000, 8, 0), "too large: "),
    "new\nline.png": (b"", "empty file: 0 bytes"),
}


def folder_lines(error):
    return dict(line.split(": ", 1) for line in error.details)


def test_every_bad_picture_is_in_one_report_and_nothing_is_cached(root, cache_folder):
    paint_classes(root, {"cat": 30, "dog": 1})
    expected = {f"cat/{name}": reason for name, (_, reason) in BAD.items()}
    expected[ascii("cat/new\nline.png")] = expected.pop("cat/new\nline.png")
    for name, (content, _) in BAD.items():
        (root / "cat" / name).write_bytes(content)
    paint(root.parent / "outside" / "0.png")
    (root / "cat" / "outside.png").symlink_to(root.parent / "outside" / "0.png")
    (root / "cat" / "broken.png").symlink_to(root / "nowhere.png")
    (root / "cat" / "loop.png").symlink_to(root / "cat" / "loop.png")
    os.mkfifo(root / "cat" / "pipe.png")
    paint(root / "stray.png")
    expected |= {
        "cat/broken.png": "unreadable: ",
        "cat/loop.png": "unreadable: ",
        "cat/outside.png": "link: ",
    }
    expected |= {"cat/pipe.png": "not a file: ", "stray.png": "no class: "}
    num_bad, num_all = len(expected), 31 + len(expected)
    paint(root / "cat" / "inner" / "0.png")
    (root / "empty").mkdir()
    (root / "outside").symlink_to(root.parent / "outside")
    expected |= {
        "cat/inner/": "nested: ",
        "outside/": "link: ",
        "class 'outside'": "too few pictures: 0 of 0",
    }
    expected |= {"class 'empty'": "too few pictures: 0 of 0", "class 'dog'": "too few pictures: 1 of 1"}
    error = refusal(folder, root)
    assert str(error).startswith(f"{num_bad} of {num_all} pictures in ")
    assert str(error).split("pictures in ")[1].split(" cannot")[0].endswith("pictures")
    found = folder_lines(error)
    assert len(found) == len(error.details)
    assert found.keys() == expected.keys()
    assert {name: found[name] for name in found if not found[name].startswith(expected[name])} == {}
    assert not cache_folder.exists()


@pytest.mark.parametrize("name", [name for name in BAD if name not in ("grey.png", "wrong_size.png")])
def test_resizing_rescues_no_bad_picture(root, name):
    paint_classes(root, {"cat": 3})
    (root / "cat" / name).write_bytes(BAD[name][0])
    assert str(refusal(folder, root, image_size=4)).startswith("1 of 4 pictures in ")


def test_the_hint_of_a_wrong_size_works(root):
    paint_classes(root, {"cat": 3})
    paint(root / "cat" / "other.png", noise(1, 9, 9, 3))
    (line,) = refusal(folder, root).details
    assert line.endswith("or use --data.image-size 6")
    assert folder(root, image_size=6).train.shape[1:] == (3, 6, 6)


def test_problems_of_folders_are_found_though_the_pictures_are_cached(root):
    paint_classes(root, {"cat": 3})
    folder(root)
    (root / "empty").mkdir()
    assert str(refusal(folder, root)).startswith("the folders in ")


def test_a_part_that_links_out_is_refused(root, tmp_path):
    paint_classes(tmp_path / "outside", {"cat": 3})
    paint_classes(root / "test", {"cat": 3})
    (root / "train").symlink_to(tmp_path / "outside")
    assert "link: " in folder_lines(refusal(folder, root))["train/"]


def test_missing_and_empty_folders(root, tmp_path):
    assert "No such file" in str(refusal(folder, root))
    assert "No such file" in str(refusal(folder, root / ("x" * 150)))
    (tmp_path / "file").write_text("")
    assert "Not a directory" in str(refusal(folder, tmp_path / "file"))
    root.mkdir()
    (root / "notes.txt").write_text("")
    assert "holds no pictures" in str(refusal(folder, root))
    paint(root / "train" / "cat" / "0.png")  # train/ alone is a class, with a folder in it
    assert "nested: " in folder_lines(refusal(folder, root))["train/cat/"]
    for name in ("folder", "folder:"):
        assert "folder:" in str(refusal(load, DataConfig(name=name)))


def test_one_picture_is_too_few(root):
    paint(root / "0.png")
    assert folder_lines(refusal(folder, root)) == {"class 'all'": "too few pictures: 1 of 1 usable, 2 needed"}


# Folders: the cache


@pytest.fixture
def cached(root, cache_folder):
    """A folder of pictures, its images, and the one file that caching them made."""
    paint_classes(root, {"cat": 4, "dog": 4}, ".bmp")
    images = folder(root)
    (file,) = cache_folder.iterdir()
    return root, images, file


def test_second_load_reads_the_cache(cached, capsys):
    root, images, file = cached
    assert folder(root).fingerprint == images.fingerprint
    cache.write(file.stem, np.zeros((8, 3, 6, 8), np.uint8))
    assert folder(root).train.max() == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("position", [0, 8, 20, 100, 140, 200, 260, 300, 340, 383, 384, 500, -1])
def test_a_damaged_cache_is_noticed_and_mended(cached, capsys, position):
    root, images, file = cached
    content = file.read_bytes()
    position %= len(content)
    file.write_bytes(flipped(content, position))
    assert folder(root).fingerprint == images.fingerprint
    assert "damaged" in capsys.readouterr().err
    assert file.read_bytes() == content


@pytest.mark.parametrize("length", [0, 5, 100, 300, 400, -1])
def test_a_cut_cache_is_noticed_and_mended(cached, capsys, length):
    root, images, file = cached
    content = file.read_bytes()
    file.write_bytes(content[:length])
    assert folder(root).fingerprint == images.fingerprint
    assert "damaged" in capsys.readouterr().err
    assert file.read_bytes() == content


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_cache_with_pickled_objects_is_not_opened(cached, capsys, tmp_path):
    root, images, file = cached
    np.save(file, np.array([Trap(tmp_path / "sprung")], dtype=object))
    assert folder(root).fingerprint == images.fingerprint
    assert "damaged" in capsys.readouterr().err
    assert not (tmp_path / "sprung").exists()


def test_a_changed_picture_is_noticed_even_at_equal_size_and_time(cached):
    root, images, _ = cached
    path = root / "cat" / "0.bmp"
    before = path.stat()
    paint(path, seed=77)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert folder(root).fingerprint != images.fingerprint


def test_a_cache_belongs_to_one_folder(cached, tmp_path, cache_folder):
    root, images, file = cached
    for path in root.glob("*/*"):  # hard links: names, sizes and times are those of the other folder
        (tmp_path / "copy" / path.parent.name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / path.parent.name / path.name).hardlink_to(path)
    folder(root)
    for file in cache_folder.iterdir():
        cache.write(file.stem, np.zeros((8, 3, 6, 8), np.uint8))
    assert folder(tmp_path / "copy").fingerprint == images.fingerprint


def test_a_renamed_picture_and_another_size_are_noticed(cached, cache_folder):
    root, images, _ = cached
    assert folder(root, image_size=4).train.shape[2:] == (4, 4)
    (root / "cat" / "0.bmp").rename(root / "dog" / "9.bmp")
    assert folder(root).fingerprint != images.fingerprint
    assert len(list(cache_folder.iterdir())) == 3


def test_a_cache_that_cannot_be_written_stops_nothing(root, tmp_path, monkeypatch, capsys):
    paint_classes(root, {"cat": 4})
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ROPE_DIT_CACHE", str(tmp_path / "file"))
    assert len(folder(root).train) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "could not be cached" in line


def test_the_cache_lies_in_home_by_default(monkeypatch, tmp_path):
    monkeypatch.delenv("ROPE_DIT_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_folder() == Path(tmp_path, ".cache", "rope-dit")
