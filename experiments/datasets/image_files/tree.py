"""Which pictures a folder holds, in which part and class, found without opening any; links out are refused.

PATH/cat/1.png      classes        PATH/1.png      no classes        PATH/train/... and PATH/test/... (or val)
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from experiments.datasets.image_files.decode import SUFFIXES
from rope_dit.errors import UserError

NO_CLASS = "all"


@dataclass(frozen=True)
class Source:
    """One picture file: its name below the root, and what tells whether it has changed."""

    name: str
    part: str
    label: str
    identity: tuple[int, ...]  # size in bytes, times of change in ns


@dataclass
class Tree:
    """What `scan` found. `parts` is ("",) unless the folder brings its own split, train part first."""

    root: Path
    parts: tuple[str, ...]
    sources: list[Source] = field(default_factory=list)
    classes: set[str] = field(default_factory=set)
    problems: dict[str, str] = field(default_factory=dict)  # name -> `kind: details`, of pictures and folders


def scan(root: Path) -> Tree:
    """Walk a folder of pictures. Hidden files and unknown suffixes are ignored.

    With train/ beside test/ (or else val/) these are the two parts, and nothing else in `root` is read.
    Raises UserError if `root` cannot be read; whatever else is wrong becomes a problem.
    """
    try:
        os.scandir(root).close()
    except OSError as error:
        raise UserError(f"folder {shorten(root)}: {error.strerror}. Expected --data folder:PATH "
                        "with a PATH that holds pictures.") from None  # fmt: skip
    second = [name for name in ("test", "val") if os.path.isdir(root / name)]
    own_split = second and os.path.isdir(root / "train")
    tree = Tree(root, ("train", second[0]) if own_split else ("",))
    for part in tree.parts:
        _scan_part(tree, part)
    tree.sources.sort(key=lambda source: source.name)
    return tree


def _scan_part(tree: Tree, part: str) -> None:
    folders, files = _visible(tree, part)
    tree.classes.update(folders or {NO_CLASS})
    for name in files:
        _add(tree, _join(part, name), part, NO_CLASS)
        if folders:
            tree.problems[_join(part, name)] = "no class: lies beside class folders; move it into one"
    for label in folders:
        inner, files = _visible(tree, _join(part, label))
        for name in inner:
            tree.problems[_join(part, label, name) + "/"] = "nested: in a class folder; move its pictures up"
        for name in files:
            _add(tree, _join(part, label, name), part, label)


def _visible(tree: Tree, folder: str) -> tuple[set[str], set[str]]:
    """Return the names of the folders and of the pictures in `folder`, in no certain order."""
    if not _inside(tree.root, folder):
        tree.problems[folder + "/"] = "link: leads out of the folder, which is not followed"
        return set(), set()
    try:
        entries = [entry for entry in os.scandir(tree.root / folder) if not entry.name.startswith(".")]
    except OSError as error:
        tree.problems[folder + "/"] = f"unreadable: {error.strerror}"
        return set(), set()
    folders = {entry.name for entry in entries if os.path.isdir(entry.path)}
    pictures = {entry.name for entry in entries if Path(entry.name).suffix.lower() in SUFFIXES}
    return folders, pictures - folders


def _add(tree: Tree, name: str, part: str, label: str) -> None:
    path = tree.root / name
    identity: tuple[int, ...] = ()
    try:
        info = path.stat()
        # The time of the last change of the inode, too: unpacked archives often have equal times and sizes.
        identity = (info.st_size, info.st_mtime_ns, info.st_ctime_ns)
        if not stat.S_ISREG(info.st_mode):
            tree.problems[name] = "not a file: a pipe, socket or device"
        elif path.is_symlink() and not _inside(tree.root, name):
            tree.problems[name] = "link: leads out of the folder, which is not followed"
    except OSError as error:
        tree.problems[name] = f"unreadable: {error.strerror}"
    tree.sources.append(Source(name, part, label, identity))


def _inside(root: Path, name: str) -> bool:
    return Path(os.path.realpath(root / name)).is_relative_to(os.path.realpath(root))


def _join(*names: str) -> str:
    return "/".join(name for name in names if name)


def shorten(path: Path | str, limit: int = 50) -> str:
    """Return a path as text that fits into a line, and holds no character that could garble a terminal."""
    text = str(path) if str(path).isprintable() else ascii(str(path))
    return text if len(text) <= limit else "..." + text[-limit:]
