"""JSON in which one value is another, as a bad disk or a hand leaves it."""

import copy
from collections.abc import Iterator
from typing import Any

ODD = [None, 5, "x", [], {}, float("inf"), True]


def swapped(found: Any, odd: Any) -> Iterator[Any]:
    """Copies of a JSON value, in each of which one of all that is inside is another."""
    places = found.items() if isinstance(found, dict) else enumerate(found)
    for key, value in places:
        if isinstance(value, (dict, list)):
            for inner in swapped(value, odd):
                changed = copy.copy(found)
                changed[key] = inner
                yield changed
        changed = copy.copy(found)
        changed[key] = odd
        yield changed
