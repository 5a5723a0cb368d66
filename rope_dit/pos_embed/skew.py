"""Rotations of blocks of channels, from skew-symmetric matrices: exponentials and Cayley's map.

A skew matrix of a block of b channels is given by its d = b(b-1)/2 numbers below the diagonal, column by
column: for b = 4 those of (1,0), (2,0), (3,0), (2,1), (3,1), (3,2). A number of 1 turns the first of two
channels towards the second.
"""

from itertools import combinations

import torch
from torch import Tensor


def skew_matrix(numbers: Tensor, block: int) -> Tensor:
    """[..., d] to [..., b, b].

    >>> skew_matrix(torch.tensor([2.0]), 2).tolist()
    [[0.0, -2.0], [2.0, 0.0]]
    """
    if block <= 4:  # one copy, where indices would take several
        below, above, zero = numbers.unbind(-1), (-numbers).unbind(-1), torch.zeros_like(numbers[..., 0])
        place = {(row, column): i for i, (column, row) in enumerate(combinations(range(block), 2))}
        entries = [
            zero
            if row == column
            else below[place[row, column]]
            if row > column
            else above[place[column, row]]
            for row in range(block)
            for column in range(block)
        ]
        matrix: Tensor = torch.stack(entries, dim=-1).unflatten(-1, (block, block))
        return matrix
    column, row = torch.triu_indices(block, block, 1, device=numbers.device)
    matrix = numbers.new_zeros((*numbers.shape[:-1], block, block))
    matrix[..., row, column] = numbers
    return matrix - matrix.mT


def exponential(numbers: Tensor, block: int) -> Tensor:
    """The rotations exp(A) of skew matrices A, [..., d] to [..., b, b]; blocks of 4 have `exponential_of_4`.

    >>> exponential(torch.tensor([torch.pi / 2]), 2).round(decimals=4).add(0.0).tolist()
    [[0.0, -1.0], [1.0, 0.0]]
    """
    if block == 2:
        cos, sin = numbers.cos(), numbers.sin()
        rotation: Tensor = torch.cat((cos, -sin, sin, cos), dim=-1).unflatten(-1, (2, 2))
        return rotation
    rotation = torch.linalg.matrix_exp(skew_matrix(numbers, block))
    return rotation


def parts_of_4() -> Tensor:
    """Map of the 6 numbers of a block of 4 to its self-dual and its anti-self-dual part: [6, 2, 4, 4].

    A is the sum of both, they commute, and the square of each is minus the square of its first column's
    length times the identity. The dual swaps (1,0) with (3,2), (2,0) with -(3,1) and (3,0) with (2,1).
    """
    numbers = torch.eye(6, device="cpu")
    dual = numbers.flip(0) * torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0, 1.0], device="cpu")
    return skew_matrix(torch.stack((numbers + dual, numbers - dual), dim=1) / 2, 4)


def exponential_of_4(parts: Tensor, eye: Tensor) -> Tensor:
    """The rotations [..., 4, 4] of the parts [..., 2, 4, 4] of skew matrices: of each cos n + P sin(n)/n.

    n is the part's size and P the part; few operations, for they are small and done in every layer.

    >>> turned = exponential_of_4(parts_of_4()[0] * torch.pi / 2, torch.eye(4))
    >>> (turned @ torch.tensor([1.0, 0.0, 5.0, 0.0])).round(decimals=4).add(0.0).tolist()
    [0.0, 1.0, 5.0, 0.0]
    """
    size = (parts[..., :1].square().sum(-2, keepdim=True) + 1e-30).sqrt()  # with a slope at 0
    first, second = torch.addcmul(size.cos() * eye, size.sin() / size, parts).unbind(-3)
    return (first[..., None] * second[..., None, :, :]).sum(-2)  # no matmul, which autocast would round


def cayley(numbers: Tensor, block: int) -> Tensor:
    """The rotations (I - A) (I + A)^-1 of skew matrices A, [..., d] to [..., b, b].

    >>> cayley(torch.tensor([-1.0]), 2).tolist()  # a quarter turn
    [[0.0, -1.0], [1.0, 0.0]]
    """
    matrix, eye = skew_matrix(numbers, block), torch.eye(block, dtype=numbers.dtype, device=numbers.device)
    rotation: Tensor = torch.linalg.solve_ex(eye + matrix, eye - matrix)[
        0
    ]  # which does not wait for a device
    return rotation


def by_blocks(rotation: Tensor, x_BHTK: Tensor, back: bool = False) -> Tensor:
    """Multiply blocks of channels by rotations [B or 1, H or 1, T or 1, K/b, b, b], or undo it."""
    block = rotation.shape[-1]
    rotation = rotation.mT if back else rotation
    x = x_BHTK.unflatten(-1, (-1, block))
    turned: Tensor = (rotation * x.unsqueeze(-2)).sum(-1).flatten(-2)
    return turned.to(x_BHTK.dtype)
