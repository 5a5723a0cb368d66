"""What `--list` prints: all that is registered, with sources, options and claims, read from syntax trees."""

import textwrap

from rope_dit.errors import UserError, nearest
from rope_dit.registry import REGISTRIES, Entry, show
from rope_dit.words import printable


def list_registered(args: list[str]) -> bool:
    """Answer `--list [KIND]` from the files' syntax trees; False where it was not asked for."""
    where = next((i for i, arg in enumerate(args) if arg.partition("=")[0] == "--list"), None)
    if where is None:
        return False
    after = [args[where].partition("=")[2]] if "=" in args[where] else args[where + 1 :][:1]
    kinds = after if after and not after[0].startswith("-") else list(REGISTRIES)
    for kind in kinds:
        if kind not in REGISTRIES:
            expected = f"expected one of {', '.join(REGISTRIES)}"
            raise UserError(f"--list got '{kind}', {expected}.{nearest(kind, list(REGISTRIES))}")
    print("\n\n".join(listing(kind) for kind in kinds))
    return True


def listing(kind: str) -> str:
    """What is registered of one kind: name, summary, source, options with their defaults, and claims."""
    lines = [f"{kind}:"]
    for entry in REGISTRIES[kind]:
        options = [f"{option.name}={show(option.default)}" for option in entry.options.values()]
        claims = claims_of(kind, entry)
        lines.append(f"  {entry.name:<20}{entry.summary}")
        if entry.source:
            lines += textwrap.wrap(f"source:  {entry.source}", 110, initial_indent=" " * 20,
                                   subsequent_indent=" " * 29, break_on_hyphens=False)  # fmt: skip
        if options:
            lines.append(f"{'':<22}options: {', '.join(options)}")
        if claims:
            lines.append(f"{'':<22}claims:  {', '.join(claims)}")
    return "\n".join(map(printable, lines))  # a plug-in says what it likes


def claims_of(kind: str, entry: Entry) -> list[str]:
    """What an item claims, of that which its kind shows, in words."""
    shown = {name: entry.claims.get(name) for name in REGISTRIES[kind].shown}
    return [_claim(name, value) for name, value in shown.items() if value]


def _claim(name: str, value: object) -> str:
    words = name.replace("_", " ")
    if isinstance(value, dict):
        return ", ".join(f"{key} ({direction} is better)" for key, direction in value.items())
    if isinstance(value, tuple):
        return f"{words} {' and '.join(value)}"
    return words if value is True else f"{words} {value}"
