"""Which pictures a folder holds, in which part and class, found before any is decoded; links out are refused.

PATH/cat/1.png      classes        PATH/1.png      no classes        PATH/train/... and PATH/test/... (or val)
"""

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from experiments.datasets.image_files.kinds import CLUTTER, Kind, kind_of, suffix_of, unpacking
from rope_dit.errors import UserError

NO_CLASS = "all"
FIRST = ("train", "training")
SECOND = ("test", "testing", "val", "valid", "validation", "dev")
"""names of the two parts, in any case; of several second parts the first of these is taken"""


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
    parts: tuple[str, ...] = ("",)
    sources: list[Source] = field(default_factory=list)
    classes: set[str] = field(default_factory=set)
    problems: dict[str, str] = field(default_factory=dict)  # name -> `kind: details`, of pictures and folders
    left_out: Counter[str] = field(default_factory=Counter)  # files that are no pictures, by suffix or name
    folders: list[str] = field(default_factory=list)  # that are left out, with why
    archives: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """What was left out and is no problem, for people: one line each."""
        notes = []
        if self.left_out:
            files, kinds = len(self.sources) + self.left_out.total(), self.left_out.most_common()
            said = ", ".join(f"{count} {kind}" for kind, count in kinds[:8]) + (", ..." if kinds[8:] else "")
            notes.append(f"used {len(self.sources)} of {files} files; not pictures: {said}")
        if self.folders:
            more = f", and {len(self.folders) - 8} more" if self.folders[8:] else ""
            notes.append(f"left out: {', '.join(self.folders[:8])}{more}")
        if len(self.parts) > 1 and (self.folders or self.parts[1] not in ("test", "val")):
            notes.append(f"trained on: {shorten(self.parts[0])}/; held out: {shorten(self.parts[1])}/")
        return notes + [
            f"{shorten(name)} is not looked into; {unpacking(self.root / name)}" for name in self.archives[:3]
        ]


def scan(root: Path) -> Tree:
    """Walk a folder of pictures.

    With a train part (train, training) beside a second one (test, testing, val, valid, validation, dev), in
    any case, these are the two parts, and nothing else in `root` is read. Without one of them, folders of
    these names are classes as any other. Folders that hold no pictures are no classes; names of classes that
    differ only in how Unicode composes their letters are one class.
    Raises UserError if `root` cannot be read; whatever else is wrong becomes a problem.
    """
    try:
        os.scandir(root).close()
    except NotADirectoryError as error:
        if kind_of(root)[0] is Kind.ARCHIVE:
            raise UserError(f"{shorten(root)} is no folder but an archive:", [unpacking(root)]) from None
        raise _unreadable(root, error) from None
    except OSError as error:
        raise _unreadable(root, error) from None
    tree = Tree(root)
    folders, files = _listed(tree, "")
    tree.parts = _parts(folders)
    if len(tree.parts) > 1:
        _leave_out(tree, sorted(folders - {*tree.parts}), files)
        for part in tree.parts:
            _scan_part(tree, part, *_listed(tree, part))
    else:
        _scan_part(tree, "", folders, files)
    tree.sources.sort(key=lambda source: source.name)
    _unite(tree)
    return tree


def _unreadable(root: Path, error: OSError) -> UserError:
    return UserError(f"folder {shorten(root)}: {error.strerror}. Expected --data folder:PATH "
                     "with a PATH that holds pictures.")  # fmt: skip


def _parts(folders: set[str]) -> tuple[str, ...]:
    """Names of the train part and the second one, or ("",). Raises UserError where two are the same one."""
    first, second = (_named(folders, words) for words in (FIRST, SECOND))
    if not (first and second):
        return ("",)
    same = [name for name in second if name.lower() == second[0].lower()]
    for names in (first, same):
        if len(names) > 1:
            said = " and ".join(f"{shorten(name)}/" for name in names)
            raise UserError(f"{said} may each be one part of the split; rename all but one, or merge them.")
    return first[0], second[0]


def _named(folders: set[str], words: Sequence[str]) -> list[str]:
    return [name for word in words for name in sorted(folders) if name.lower() == word]


def _leave_out(tree: Tree, folders: Sequence[str], files: Collection[str]) -> None:
    """Note what lies beside the two parts."""
    for name in folders:
        count = sum(len(inside) for _, _, inside in os.walk(tree.root / name))
        tree.folders.append(f"{shorten(name)}/ ({count} files)")
    if files:
        tree.folders.append(f"{len(files)} pictures beside {tree.parts[0]}/ and {tree.parts[1]}/")


def _scan_part(tree: Tree, part: str, folders: set[str], files: Mapping[str, str]) -> None:
    structured = False
    for label in sorted(folders):
        inner, pictures = _listed(tree, _join(part, label))
        nested = {name for name in inner if _holds_pictures(tree.root / _join(part, label, name))}
        for name in nested:
            tree.problems[_join(part, label, name) + "/"] = _nested(part, label, len(folders))
        empty = [_join(part, label, name) for name in sorted(inner - nested)]
        if pictures:
            tree.classes.add(label)
        elif not nested:
            empty = [_join(part, label)]
        tree.folders += [
            f"{shorten(name)}/ (no pictures)" for name in empty if f"{name}/" not in tree.problems
        ]
        structured |= bool(pictures or nested)
        for name, reason in pictures.items():
            _add(tree, _join(part, label, name), part, label, reason)
    if not structured:
        tree.classes.add(NO_CLASS)
    for name, reason in files.items():
        stray = "no class: lies beside class folders; move it into one" if structured else ""
        _add(tree, _join(part, name), part, NO_CLASS, reason or stray)


def _nested(part: str, label: str, classes: int) -> str:
    if not part and classes == 1:
        return f"nested: two folders deep; give folder:PATH/{shorten(label)}, or move its pictures up"
    if not part and label.lower() in FIRST:
        return f"nested: {label}/ is a class where no test/ or val/ lies beside it; give folder:PATH/{label}"
    return "nested: in a class folder; move its pictures up"


def _listed(tree: Tree, folder: str) -> tuple[set[str], dict[str, str]]:
    """Names of the folders in `folder`, and of the pictures with why one is not read; the rest is noted."""
    if not _inside(tree.root, folder):
        tree.problems[folder + "/"] = "link: leads out of the folder, which is not followed"
        return set(), {}
    try:
        entries = sorted(os.scandir(tree.root / folder), key=lambda entry: entry.name)
    except OSError as error:
        tree.problems[folder + "/"] = f"unreadable: {error.strerror}"
        return set(), {}
    folders, pictures = set[str](), dict[str, str]()
    for entry in entries:
        if os.path.isdir(entry.path):
            if _is_clutter(entry.name):
                tree.folders.append(f"{shorten(_join(folder, entry.name))}/")
            else:
                folders.add(entry.name)
            continue
        kind, reason = (Kind.OTHER, "") if _is_clutter(entry.name) else kind_of(Path(entry.path))
        if kind in (Kind.OTHER, Kind.ARCHIVE):
            tree.left_out[_called(entry.name)] += 1
            tree.archives += [_join(folder, entry.name)] if kind is Kind.ARCHIVE else []
        else:
            pictures[entry.name] = reason
    return folders, pictures


def _is_clutter(name: str) -> bool:
    return name.startswith(".") or name in CLUTTER


def _called(name: str) -> str:
    """What a file that is left out is counted as."""
    if name.startswith(".") or name in ("Thumbs.db", "desktop.ini"):
        return name if name in (".DS_Store", "Thumbs.db", "desktop.ini") else "hidden"
    return shorten(suffix_of(name), 20) or "without suffix"


def _holds_pictures(folder: Path) -> bool:
    """Whether a picture, read or not, lies anywhere in a folder."""
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _is_clutter(name)]
        for name in files:
            if not _is_clutter(name) and kind_of(Path(path, name))[0] in (Kind.PICTURE, Kind.UNREAD):
                return True
    return False


def _unite(tree: Tree) -> None:
    """Make one class of names that differ only in how Unicode composes their letters."""
    spellings: dict[str, set[str]] = {}
    for label in tree.classes:
        spellings.setdefault(unicodedata.normalize("NFC", label), set()).add(label)
    # A name with one spelling stays as it is: it is part of the data's fingerprint.
    united = {label: whole for whole, labels in spellings.items() if len(labels) > 1 for label in labels}
    tree.classes = {united.get(label, label) for label in tree.classes}
    tree.sources = [replace(each, label=united.get(each.label, each.label)) for each in tree.sources]


def _add(tree: Tree, name: str, part: str, label: str, reason: str) -> None:
    path = tree.root / name
    identity: tuple[int, ...] = ()
    try:
        info = path.stat()
        # The time of the last change of the inode, too: unpacked archives often have equal times and sizes.
        identity = (info.st_size, info.st_mtime_ns, info.st_ctime_ns)
        if not stat.S_ISREG(info.st_mode):
            reason = reason or "not a file: a pipe, socket or device"
        elif path.is_symlink() and not _inside(tree.root, name):
            reason = reason or "link: leads out of the folder, which is not followed"
    except OSError as error:
        reason = reason or f"unreadable: {error.strerror}"
    if reason:
        tree.problems[name] = reason
    tree.sources.append(Source(name, part, label, identity))


def _inside(root: Path, name: str) -> bool:
    return Path(os.path.realpath(root / name)).is_relative_to(os.path.realpath(root))


def _join(*names: str) -> str:
    return "/".join(name for name in names if name)


def shorten(path: Path | str, limit: int = 50) -> str:
    """Return a path as text that fits into a line, and holds no character that could garble a terminal."""
    text = str(path) if str(path).isprintable() else ascii(str(path))
    return text if len(text) <= limit else "..." + text[-limit:]
