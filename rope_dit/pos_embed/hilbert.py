"""A path through all places of a grid whose steps go to neighbours: Hilbert's curve for any rectangle."""

from collections.abc import Iterator

from rope_dit.positions.base import Grid

Step = tuple[int, int]


def hilbert_path(grid: Grid) -> list[Step]:
    """(row, column) of each place of an h x w grid in the order of the generalised Hilbert curve.

    The curve is the generalised one of J. Cerveny (github.com/jakubcerveny/gilbert): a rectangle is halved
    along its longer side where it is far longer than wide, and else cut into three as Hilbert's; cuts are at
    even lengths where they can be. One step of the path may be diagonal where a side is odd. On squares of
    side 2^n it is Hilbert's own curve.

    >>> hilbert_path((2, 2))  # in at the first row, out at the last one
    [(0, 0), (0, 1), (1, 1), (1, 0)]
    >>> hilbert_path((1, 3))
    [(0, 0), (0, 1), (0, 2)]
    """
    down, right = (grid[0], 0), (0, grid[1])
    return list(_fill((0, 0), right, down) if grid[1] > grid[0] else _fill((0, 0), down, right))


def _fill(at: Step, along: Step, across: Step) -> Iterator[Step]:
    """Places of the rectangle of two sides, from the corner `at` to the other end of the side `along`."""
    length, breadth = abs(sum(along)), abs(sum(across))
    forward, sideways = (_unit(side) for side in (along, across))
    if breadth == 1 or length == 1:
        step, count = (forward, length) if breadth == 1 else (sideways, breadth)
        yield from (_move(at, step, i) for i in range(count))
        return
    half = length // 2
    if 2 * length > 3 * breadth:
        half += half % 2 if length > 2 else 0
        yield from _fill(at, _times(forward, half), across)
        yield from _fill(_move(at, forward, half), _times(forward, length - half), across)
        return
    part = breadth // 2
    part += part % 2 if breadth > 2 else 0
    yield from _fill(at, _times(sideways, part), _times(forward, half))
    yield from _fill(_move(at, sideways, part), along, _times(sideways, breadth - part))
    end = _move(_move(at, forward, length - 1), sideways, part - 1)
    yield from _fill(end, _times(sideways, -part), _times(forward, half - length))


def _unit(side: Step) -> Step:
    return (side[0] > 0) - (side[0] < 0), (side[1] > 0) - (side[1] < 0)


def _times(step: Step, count: int) -> Step:
    return step[0] * count, step[1] * count


def _move(at: Step, step: Step, count: int) -> Step:
    return at[0] + step[0] * count, at[1] + step[1] * count
