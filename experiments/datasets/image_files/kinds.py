"""What a file in a folder of pictures is: by its suffix, or by its first bytes where that does not say.

A file is a picture that is read, a picture that is not (its pixels would be lost, so it is a problem), an
archive, or something else that is left out and counted.
"""

import os
import stat
from enum import Enum
from pathlib import Path

from experiments.cli.commands import typed
from experiments.datasets.image_files.decode import SUFFIXES


class Kind(Enum):
    """What becomes of a file."""

    PICTURE = "read"
    UNREAD = "a picture that is not read"
    ARCHIVE = "may hold pictures"
    OTHER = "left out"


def _words(text: str) -> frozenset[str]:
    return frozenset(f".{word}" for word in text.split())


UNREAD = _words(
    "heic heif hif avif avifs jxl jp2 j2k j2c jpc jpf jpx apng svg tga psd psb xcf exr hdr dds pcx ppm pgm "
    "pbm pnm pam pfm qoi ico cur icns sgi ras xpm xbm eps emf wmf dcm nii fits raw dng cr2 cr3 nef nrw arw "
    "orf rw2 raf pef srw"
)
"""suffixes of pictures in formats that are not read"""
PACKED = _words("zip tar tgz tbz tbz2 txz tzst gz bz2 xz zst 7z rar")
ARRAYS = _words("npz npy parquet arrow feather h5 hdf5 tfrecord tfrecords mdb lmdb mat pkl pickle pt pth")
TEXTS = _words(
    "txt json jsonl csv tsv xml yaml yml toml md rst html htm log py ipynb sh pdf doc docx xls xlsx ini db "
    "url webloc lnk md5 sha1 sha256 mp4 mov avi mkv webm mp3 wav"
)
"""suffixes of files that lie beside pictures and are none; these are not opened"""
CLUTTER = frozenset({
    "__MACOSX", "@eaDir", "__pycache__", "#recycle", "@Recycle", "$RECYCLE.BIN", "System Volume Information",
    "lost+found",
})  # fmt: skip
"""folders that programs leave behind; hidden ones are left out too"""

_SIGNATURES = (  # first byte that counts, bytes, name of the format
    (0, b"\xff\xd8\xff", "JPEG"), (0, b"\x89PNG\r\n\x1a\n", "PNG"), (0, b"GIF8", "GIF"),
    (0, b"II*\0", "TIFF"), (0, b"MM\0*", "TIFF"), (8, b"WEBP", "WEBP"), (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif1", "HEIF"), (4, b"ftypavi", "AVIF"), (0, b"8BPS", "PSD"), (0, b"qoif", "QOI"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"), (0, b"\xff\x0a", "JPEG XL"), (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"), (0, b"DDS ", "DDS"),
)  # fmt: skip
_READ = {"JPEG": ".jpg", "PNG": ".png", "GIF": ".gif", "TIFF": ".tif", "WEBP": ".webp", "BMP": ".bmp"}


def suffix_of(name: str) -> str:
    """The suffix in lower case, such as `.png`; empty where there is none."""
    return Path(name).suffix.lower()


def kind_of(path: Path) -> tuple[Kind, str]:
    """What a file is, and for a picture that is not read why, as `kind: details`.

    A file without a suffix is what its first bytes say. So is one with a suffix that says nothing, but a
    picture under such a name (`a.png.bak`) is not read: whoever named it may have wanted it away.
    """
    suffix = suffix_of(path.name)
    if suffix in SUFFIXES:
        return Kind.PICTURE, ""
    if suffix in UNREAD:
        return Kind.UNREAD, f"not read: {suffix[1:].upper()}; convert it to PNG, or move it elsewhere"
    if suffix in PACKED | ARRAYS:
        return Kind.ARCHIVE, ""
    found = "" if suffix in TEXTS else format_of(path)
    if found in _READ and not suffix:
        return Kind.PICTURE, ""
    if found in _READ:
        return (
            Kind.UNREAD,
            f"not read: {found} with suffix {suffix}; call it {_READ[found]}, or move it elsewhere",
        )
    if found:
        return Kind.UNREAD, f"not read: {found}; convert it to PNG, or move it elsewhere"
    return Kind.OTHER, ""


def format_of(path: Path) -> str:
    """Name of the picture format whose signature the file begins with, or an empty string."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would keep us waiting
            return ""
        with path.open("rb") as file:
            head = file.read(32)
    except OSError:
        return ""
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":  # two letters alone begin many a text
        return "BMP"
    return next((name for at, sign, name in _SIGNATURES if head[at : at + len(sign)] == sign), "")


def unpacking(path: Path) -> str:
    """What to do with an archive: a line for people."""
    suffix, target = suffix_of(path.name), path.parent / (path.name.partition(".")[0] or "pics")
    if suffix in ARRAYS:
        return (
            "save its pictures as PNG files, one folder a class, or write a data set of your own (--plugins)"
        )
    tar = "mkdir {1} && tar -xf {0} -C {1}"
    programs = {".zip": "unzip {} -d {}", ".7z": "7z x {} -o{}", ".rar": "unrar x {} {}/", ".tar": tar}
    is_tar = suffix.startswith(".t") or Path(path.name).with_suffix("").suffix.lower() == ".tar"
    program = programs.get(".tar" if is_tar else suffix)
    if program is None:  # one compressed file, of whatever
        return "unpack it, and give the folder with its pictures"
    command = program.format(typed(path), typed(target))
    return f"unpack it: {command}, then --data {typed(f'folder:{target}')}"
