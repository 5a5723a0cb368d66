"""Registered things with other values of their numbers, so that what holds at the defaults is not all."""

from collections.abc import Callable
from typing import Any, TypeVar

from rope_dit.errors import UserError
from rope_dit.registry import Part, Registry, show

T = TypeVar("T")


def others(registry: Registry[Any], text: str, build: Callable[[str], T]) -> dict[str, T]:
    """What `build` makes of a spec with one number at a time doubled, halved and moved, where that may be."""
    given, found = Part.parse(text), dict[str, T]()
    for option in registry[given.name].options.values():
        if option.type not in (int, float) or option.name in dict(given.options):
            continue
        for value in (2 * option.default, option.default / 2, option.default + 0.5, option.default + 1):
            spec = str(Part(given.name, (*given.options, (option.name, show(option.type(value))))))
            try:
                made = build(spec)
            except UserError:  # out of range
                continue
            if option.type(value) != option.default:
                found[spec] = made
    return found


def numbers_count(registry: Registry[Any], text: str, build: Callable[[str], object]) -> None:
    """Each value of each number gives something else."""
    seen = [(text, build(text)), *others(registry, text, build).items()]
    for i, (spec, made) in enumerate(seen):
        assert all(made != before for _, before in seen[:i]), f"{spec} is as one of {seen[:i]}"
