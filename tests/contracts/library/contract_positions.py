"""What holds of everything that says where tokens are: rows by rows, columns by columns, in order."""

import torch

from rope_dit.positions.coordinates import Coordinates

TRAINED = (3, 4)
GRIDS = [TRAINED, (5, 6), (2, 7)]


def draws(coordinates, grid, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(4, coordinates.num_moves(grid), generator=generator).clamp(1e-6, 1 - 1e-6)


def axes(places, grid):
    """Row of each row and column of each column, [..., h] and [..., w], if all tokens of one agree."""
    rows, columns = (axis.unflatten(-1, grid) for axis in (places.rows, places.columns))
    assert torch.equal(rows, rows[..., :1].expand_as(rows))
    assert torch.equal(columns, columns[..., :1, :].expand_as(columns))
    return rows[..., 0], columns[..., 0, :]


def evaluation_has_rows_and_columns_in_order(spec):
    for grid in [*GRIDS, (2, 70)]:
        places = Coordinates(spec, TRAINED)(grid)
        assert places.rows.shape == places.columns.shape == (grid[0] * grid[1],)
        assert places.rows.dtype == places.columns.dtype == torch.float64
        for axis in axes(places, grid):
            assert axis.isfinite().all()
            assert (axis.diff() > 0).all()


def training_keeps_the_order_and_moves_what_asks_for_numbers(spec):
    coordinates = Coordinates(spec, TRAINED)
    still, moved = coordinates(TRAINED), coordinates(TRAINED, moves_BN=draws(coordinates, TRAINED))
    for axis in axes(moved, TRAINED):
        assert axis.isfinite().all()
        assert (axis.diff() > 0).all()
    assert moved.rows.dtype == torch.float64
    moves = not torch.equal(moved.rows.expand(4, -1), still.rows.expand(4, -1))
    assert moves == (coordinates.num_moves(TRAINED) > 0)


def each_picture_s_places_are_functions_of_its_numbers(spec):
    coordinates = Coordinates(spec, TRAINED)
    numbers = draws(coordinates, TRAINED)
    all_of_them = coordinates(TRAINED, moves_BN=numbers)
    alone = coordinates(TRAINED, moves_BN=numbers[2:3])
    assert torch.equal(alone.rows.expand(1, -1)[0], all_of_them.rows.expand(4, -1)[2])
    assert torch.equal(alone.columns.expand(1, -1)[0], all_of_them.columns.expand(4, -1)[2])


CHECKS = [
    evaluation_has_rows_and_columns_in_order,
    training_keeps_the_order_and_moves_what_asks_for_numbers,
    each_picture_s_places_are_functions_of_its_numbers,
]
