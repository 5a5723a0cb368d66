"""Pictures from a folder: found, decoded once, checked all together before any is trained on, and cached."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from experiments.cli.paths import given
from experiments.config.registries import DATASETS
from experiments.config.run import DataConfig
from experiments.datasets.base import Images, Pixels, refuse_unused, sha256, stratified_split
from experiments.datasets.image_files import cache
from experiments.datasets.image_files.decode import FORMATS, Unusable, decode, strict_pillow
from experiments.datasets.image_files.tree import Tree, scan, shorten
from rope_dit.errors import UserError

FORMAT = 2  # raise it when decoding changes: old cache files are then left alone
COLOURS = {1: "grey", 3: "RGB"}
T = TypeVar("T", int, tuple[int, ...])
Sizes = NDArray[np.int64]


@DATASETS.register("folder")
def folder(argument: str, config: DataConfig) -> Images:
    """Your own pictures, folder:PATH: class folders or no classes; split at random, or by train/ and test/.

    The parts may also be called training and testing, val, valid, validation or dev, in any case; of several
    second parts the first of these is taken. Grey pictures make one channel, colour ones three.

    JPEG, PNG, BMP, WebP, GIF (first frame) and TIFF (one page) are read, by their suffix; a file without a
    suffix is what its first bytes say. A picture that would be lost is refused: one in another format or with
    transparent pixels, more than 8 bits or several pages. What is no picture, hidden or in an archive is left
    out, counted and said; so are pictures that are enlarged, equal, or of one colour.

    Decoded pictures are cached in $ROPE_DIT_CACHE, or ~/.cache/rope-dit, until a file or --data.image-size
    changes. Raises UserError with one line for every picture that cannot be used, of the whole folder.
    """
    if not argument:
        raise UserError("--data got 'folder', expected folder:PATH with the folder that holds the pictures.")
    tree = scan(given(argument))
    if len(tree.parts) > 1:
        refuse_unused(config, "held_out")
    pixels, sizes = _pixels(tree, config.image_size)
    classes = sorted(tree.classes)
    index = {name: i for i, name in enumerate(classes)}
    labels = np.array([index[source.label] for source in tree.sources], dtype=np.int64)
    if len(tree.parts) > 1:
        in_train = np.array([source.part == tree.parts[0] for source in tree.sources])
        train, held_out = np.flatnonzero(in_train), np.flatnonzero(~in_train)
    else:
        train, held_out = stratified_split(labels, round(config.held_out * len(labels)))
    return Images(
        train=pixels[train],
        train_labels=labels[train],
        held_out=pixels[held_out],
        held_out_labels=labels[held_out],
        classes=tuple(classes),
        name=tree.root.resolve().name or "folder",
        files=tuple(shorten(tree.sources[i].name) for i in (*train, *held_out)),
        remarks=(*tree.notes(), *_enlarged(sizes, config.image_size)),
    )


def _enlarged(sizes: Sizes, side: int) -> list[str]:
    """What to say of pictures whose short side is less than `side`."""
    small = Counter(f"{width}x{height}" for width, height in sizes[sizes.min(1) < side])
    if not small:
        return []
    most = ", ".join(f"{count} of {size}" for size, count in small.most_common(3))
    more = f" and {len(small) - 3} other sizes" if len(small) > 3 else ""
    return [f"pictures that are enlarged to {side}x{side}: {small.total()} of {len(sizes)} ({most}{more})"]


def _pixels(tree: Tree, side: int) -> tuple[Pixels, Sizes]:
    """All pictures, uint8 [N, C, H, W], and their widths and heights before they were resized, [N, 2].

    From the cache or decoded. Raises UserError with all that is wrong.
    """
    if not tree.sources:
        raise UserError(f"folder {shorten(tree.root)} holds no pictures ({', '.join(FORMATS)}). "
                        "Expected them in it, in class folders, or either in train/ and test/.",
                        [*_lines(tree), *tree.notes()])  # fmt: skip
    files = [(source.name, *source.identity) for source in tree.sources]
    key = sha256(text=[FORMAT, os.path.realpath(tree.root), side, files])
    cached = cache.read(key)
    decoded = _decode(tree, side) if cached is None else {}
    _check_alike({name: pixels for name, (pixels, _) in decoded.items()}, tree.problems)
    _check_enough(tree)
    _report(tree)
    if cached is not None:
        return cached[0].astype(np.uint8, copy=False), cached[1].astype(np.int64, copy=False)
    pixels = np.stack([one for one, _ in decoded.values()])
    sizes = np.array([size for _, size in decoded.values()], dtype=np.int64)
    cache.write(key, pixels, sizes)
    return pixels, sizes


def _decode(tree: Tree, side: int) -> dict[str, tuple[Pixels, tuple[int, int]]]:
    # One thread: 60,000 small JPEGs take seconds, and Pillow gains nothing from a second thread on them.
    decoded = {}
    with strict_pillow():
        for source in tqdm(tree.sources, desc="decoding", unit="picture", disable=None):
            if source.name not in tree.problems:
                try:
                    decoded[source.name] = decode(tree.root / source.name, side)
                except Unusable as reason:
                    tree.problems[source.name] = str(reason)
    return decoded


def _check_alike(decoded: Mapping[str, Pixels], problems: dict[str, str]) -> None:
    """Name the pictures that differ from most in colour or size; converting them is the user's decision."""
    if not decoded:
        return
    channels = _most(picture.shape[0] for picture in decoded.values())
    height, width = _most(picture.shape[1:] for picture in decoded.values() if picture.shape[0] == channels)
    for name, picture in decoded.items():
        c, h, w = picture.shape
        if c != channels:
            problems[name] = f"wrong mode: {COLOURS[c]}, but most are {COLOURS[channels]}; convert it"
        elif (h, w) != (height, width):
            problems[name] = (f"wrong size: {w}x{h}, but most are {width}x{height}; "
                              f"resize it, or use --data.image-size {min(width, height)}")  # fmt: skip


def _most(values: Iterable[T]) -> T:
    """Return the most frequent value, the largest of them in a tie."""
    counts = Counter(values)
    return max(counts, key=lambda value: (counts[value], value))


def _check_enough(tree: Tree) -> None:
    """Both parts need a picture of every class."""
    least = 1 if len(tree.parts) > 1 else 2
    listed = Counter((source.part, source.label) for source in tree.sources)
    good = [source for source in tree.sources if source.name not in tree.problems]
    usable = Counter((source.part, source.label) for source in good)
    for part in tree.parts:
        for label in sorted(tree.classes):
            count, total = usable[part, label], listed[part, label]
            if count < least:
                where = f"class {label!r}" + (f" in {part}/" if part else "")
                tree.problems[where] = f"too few pictures: {count} of {total} usable, {least} needed"


def _report(tree: Tree) -> None:
    """Raise one UserError for all problems: how many of which kind, then one line each."""
    if not tree.problems:
        return
    bad = sum(source.name in tree.problems for source in tree.sources)
    kinds = Counter(reason.partition(":")[0] for reason in tree.problems.values()).most_common()
    summary = ", ".join(f"{count} {kind}" for kind, count in kinds[:3]) + (" and others" if kinds[3:] else "")
    pictures = f"{bad} of {len(tree.sources)} pictures" if bad else "the folders"
    place = shorten(tree.root)
    raise UserError(f"{pictures} in {place} cannot be used: {summary}. Mend or remove these:", _lines(tree))


def _lines(tree: Tree) -> list[str]:
    return [f"{shorten(name, 100)}: {reason}" for name, reason in sorted(tree.problems.items())]
