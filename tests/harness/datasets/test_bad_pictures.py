"""Folders of pictures that cannot be used: one report of all that is wrong."""

import io
import os
import struct
import zlib

import pytest
from painting import (  # noqa: F401
    cache_folder_fixture,
    flipped,
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
from experiments.datasets import load


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


def seen_through(mode):
    """A PNG of which the first pixel alone is transparent."""
    picture, file = Image.fromarray(noise(9, 6, 8, 3)).convert(mode), io.BytesIO()
    first = picture.getpixel((0, 0))
    if mode in ("RGBA", "LA"):
        picture.putpixel((0, 0), (*first[:-1], 254))
    picture.save(file, "PNG", **({"transparency": first} if mode in ("P", "RGB") else {}))
    return file.getvalue()


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
    "icon.png": (encoded("ICO"), "not an image: "),
    "phone.heic": (b"\0\0\0\x18ftypheic", "not read: HEIC; convert it"),
    "targa.TGA": (encoded("TGA"), "not read: TGA; convert it"),
    "no_suffix": (b"\0\0\0\x18ftypavif", "not read: AVIF; convert it"),
    "kept.png.bak": (encoded("PNG"), "not read: PNG with suffix .bak; call it .png"),
    "pages.tif": (
        encoded("TIFF", save_all=True, append_images=[Image.new("RGB", (8, 6))]),
        "several pages: 2",
    ),
    "grey.png": (encoded("PNG", "L"), "wrong mode: grey, but most are RGB"),
    "alpha.png": (seen_through("RGBA"), "wrong mode: RGBA with transparency"),
    "grey_alpha.png": (seen_through("LA"), "wrong mode: LA with transparency"),
    "palette_alpha.png": (seen_through("P"), "wrong mode: P with transparency"),
    "colour_key.png": (seen_through("RGB"), "wrong mode: RGB with transparency"),
    "cmyk.jpg": (encoded("JPEG", "CMYK"), "wrong mode: CMYK; convert it to RGB"),
    "deep_grey.png": (png(8, 6, 16, 0, bytes(6 * 17)), "wrong mode: more than 8 bits"),
    "deep_colour.png": (png(8, 6, 16, 2, bytes(6 * 49)), "wrong mode: more than 8 bits"),
    "wrong_size.png": (png(5, 7, 8, 2, bytes(7 * 16)), "wrong size: 5x7, but most are 8x6"),
    "bomb.png": (png(9500, 9500, 8, 0), "too large: "),
    "big_bomb.png": (png(30000, 30000, 8, 0), "too large: "),
    "new\nline.png": (b"", "empty file: 0 bytes"),
}


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
    (root / "outside").symlink_to(root.parent / "outside")
    expected |= {"cat/inner/": "nested: ", "outside/": "link: "}
    expected |= {"class 'dog'": "too few pictures: 1 of 1"}
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
    paint(root / "cat" / "more" / "0.png")
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
    assert "give folder:PATH/train, or" in folder_lines(refusal(folder, root))["train/cat/"]
    paint_classes(root, {"other": 2})
    assert folder_lines(refusal(folder, root))["train/cat/"].endswith("give folder:PATH/train")
    for name in ("folder", "folder:"):
        assert "folder:" in str(refusal(load, DataConfig(name=name)))


def test_one_picture_is_too_few(root):
    paint(root / "0.png")
    assert folder_lines(refusal(folder, root)) == {"class 'all'": "too few pictures: 1 of 1 usable, 2 needed"}
