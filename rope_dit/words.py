"""Texts that messages and pages are put together from. Imports no torch."""

from collections.abc import Iterable, Mapping


def listed(words: Iterable[str]) -> str:
    """Words in a row, as in a sentence.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    *most, last = [*words] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def printable(text: str) -> str:
    r"""A text in which what would steer a terminal is written out.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def differing(
    there: Mapping[str, object], now: Mapping[str, object], names: tuple[str, str] = ("there", "now")
) -> list[str]:
    """A line for every key in which two mappings differ, in the order of the keys; `-` where one lacks it.

    >>> differing({"seed": "0", "lr": "0.1"}, {"seed": "0", "lr": "0.2", "flip": "True"})
    ['flip: there -, now True', 'lr: there 0.1, now 0.2']
    """
    return [
        f"{key}: {names[0]} {there.get(key, '-')}, {names[1]} {now.get(key, '-')}"
        for key in sorted(there.keys() | now.keys())
        if key not in there or key not in now or there[key] != now[key]
    ]
