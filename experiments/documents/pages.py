"""All files that the command writes, and which of those in a folder are not as it would write them."""

from collections.abc import Callable
from pathlib import Path

from experiments.documents import others, samplers, variants
from experiments.documents.pictures import Picture, is_drawn

PAGES: dict[str, Callable[[], str]] = {
    "variants.md": variants.page,
    "samplers.md": samplers.page,
    "others.md": others.page,
}


def pictures() -> dict[str, Picture]:
    """All pictures, by the names of their files."""
    return variants.pictures() | samplers.pictures()


def write(folder: Path) -> list[str]:
    """Write what differs, and remove pictures of variants that are gone; returns the names of these files."""
    drawn = pictures()
    changed = _changed(folder, drawn)
    for name in changed:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name in PAGES:
            path.write_text(PAGES[name](), encoding="utf-8")
        elif name in drawn:
            path.write_bytes(drawn[name].png())
        else:
            path.unlink()
    return changed


def stale(folder: Path) -> list[str]:
    """Names of files that are missing, or not what would be written now, or of no variant."""
    return _changed(folder, pictures())


def _changed(folder: Path, drawn: dict[str, Picture]) -> list[str]:
    texts = [name for name, page in PAGES.items() if _text(folder / name) != page()]
    old = [name for name, picture in drawn.items() if not is_drawn(folder / name, picture.numbers)]
    there = {path.relative_to(folder).as_posix() for path in (folder / variants.FOLDER).glob("*")}
    return texts + old + sorted(there - drawn.keys())


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
