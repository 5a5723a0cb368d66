"""What is odd about a data set and stops nothing: said once, before anything is trained on it."""

import functools
import hashlib
import logging
from collections.abc import Sequence

import numpy as np

from experiments.datasets.base import Images, Pixels

SHOWN = 3  # examples of each kind
_log = logging.getLogger(__name__)


def say(name: str, remarks: Sequence[str]) -> None:
    """Log remarks about a data set as one warning, once in a process, which may load it for each arm."""
    if remarks:
        _say("\n  ".join([f"pictures of {name}:", *remarks]))


@functools.cache
def _say(text: str) -> None:
    _log.warning("%s", text)


def remarks(images: Images) -> list[str]:
    """All that is worth a remark: equal pictures, pictures of one colour, classes that have none."""
    return [*_repeats(images), *_blank(images), *_empty_classes(images)]


def _repeats(images: Images) -> list[str]:
    """Equal pictures (after decoding and resizing): between the parts, between classes, and within one."""
    first: dict[bytes, int] = {}
    labels = np.concatenate([images.train_labels, images.held_out_labels])
    leaks, contradictions, doubles = list[str](), list[str](), 0
    for i, digest in enumerate(_digests(images.train) + _digests(images.held_out)):
        other = first.setdefault(digest, i)
        if other == i:
            continue
        pair = f"{_called(images, other)} = {_called(images, i)}"
        if labels[other] != labels[i]:
            contradictions.append(pair)
        if other < len(images.train) <= i:
            leaks.append(pair)
        elif labels[other] == labels[i]:
            doubles += 1
    return [
        *_listed("held-out pictures that are trained on too", leaks),
        *_listed("pictures in two classes", contradictions),
        *([f"pictures that repeat another of their class: {doubles}"] if doubles else []),
    ]


def _digests(pixels: Pixels) -> list[bytes]:
    return [hashlib.blake2b(np.ascontiguousarray(one).data, digest_size=16).digest() for one in pixels]


def _called(images: Images, index: int) -> str:
    """The file of a picture, or its number in its part."""
    if images.files:
        return images.files[index]
    count = len(images.train)
    return f"train {index}" if index < count else f"held-out {index - count}"


def _listed(what: str, names: Sequence[str]) -> list[str]:
    more = ", ..." if names[SHOWN:] else ""
    return [f"{what}: {len(names)} ({', '.join(names[:SHOWN])}{more})"] if names else []


def _blank(images: Images) -> list[str]:
    blank = [*map(_is_blank, images.train), *map(_is_blank, images.held_out)]
    return _listed("pictures of one colour", [_called(images, i) for i, yes in enumerate(blank) if yes])


def _is_blank(picture: Pixels) -> bool:
    return bool((picture == picture[:, :1, :1]).all())


def _empty_classes(images: Images) -> list[str]:
    there = {*images.train_labels.tolist()}
    missing = [name for i, name in enumerate(images.classes) if i not in there]
    return _listed("classes without a training picture", missing)
