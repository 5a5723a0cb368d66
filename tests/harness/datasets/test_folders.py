"""Folders of pictures: their layouts, and what decoding makes of them."""

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

# Layouts


def test_class_folders_are_split_per_class(root, capsys):
    paint_classes(root, {"dog": 20, "cat": 10})
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


def test_folders_of_earlier_versions_keep_their_fingerprint(root):
    """Values of the version that knew only train/ with test/ or val/; runs of it must go on."""
    decomposed = "cafe\u0301"
    counts = {f"train/{decomposed}": 3, "train/dog": 2, f"test/{decomposed}": 1, "test/dog": 2, "val/dog": 1}
    paint_classes(root, counts)
    assert folder(root).fingerprint == "63166ff2611f427e145106dba42d5cdada0de8ae4ad7dfd3463a174d3b07619f"
    resized = "8b873dc060cec715260d880f8e1f24ceb7eae4c1c82e40923352d7b923ae73a2"
    assert folder(root, image_size=4).fingerprint == resized


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


# Decoding


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
