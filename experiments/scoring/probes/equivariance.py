"""Whether the velocity of a shifted picture is the shifted velocity."""

from typing import ClassVar

import torch
from torch import Tensor

from experiments.config.registries import PROBES
from experiments.scoring.probes.base import Batch, Subject

MOST, TIMES = 256, (0.25, 0.5, 0.75)


@PROBES.register("equivariance")
class Equivariance:
    """Error of the velocity under cyclic shifts by whole patches, inside the picture and along its border.

    The mean of |v(S x_t) - S v(x_t)|^2 over the variance of v(x_t) at that time, where S rolls a picture by 1
    token to the right, by 1 down, and by half the grid each way (those that move nothing are left out); over
    t = 1/4, 1/2, 3/4 and up to 256 held-out pictures with fixed noise. 0 is exactly equivariant; two
    velocities that know nothing of each other would have 2.
    `shift_error_border` is about tokens that are in the outermost rows or columns before or after the shift,
    `shift_error_interior` about those that are in neither, and left out where there are none: in grids of
    fewer than 3 rows or columns, and of 3 x 3.
    Without positions a DiT is exactly equivariant, because nothing tells its tokens apart. Learned places are
    not, and neither are relative ones: their offsets end at the border, where a shift brings in what was far
    away. So a low error is not a good one. It says that cyclic shifts are respected, not that places are
    understood, and pictures that have an up and a down ask for some error. Compare it within a data set.

    Source: this project. That convolutional networks read positions from the border, Islam et al.,
    arXiv:2101.12322.
    """

    values: ClassVar[dict[str, str]] = {"shift_error_interior": "lower", "shift_error_border": "lower"}
    ranges: ClassVar[dict[str, tuple[float, None]]] = {
        "shift_error_interior": (0, None),
        "shift_error_border": (0, None),
    }
    default_on = True
    cost = "up to 15 evaluations for each of up to 256 held-out pictures"

    @torch.inference_mode()
    def measure(self, subject: Subject) -> dict[str, float]:
        """Both, or the border's alone where no token is inside."""
        patch = subject.config.model.patch
        grid = subject.pixels.shape[2] // patch, subject.pixels.shape[3] // patch
        batches = list(subject.batches(MOST, "equivariance"))
        errors_Shw = torch.stack([_errors(subject, batches, t, grid) for t in TIMES]).mean(0)
        inside_Shw = interior(grid)
        found = {"shift_error_border": errors_Shw[~inside_Shw].mean().item()}
        if inside_Shw.any():
            found["shift_error_interior"] = errors_Shw[inside_Shw].mean().item()
        return found


def shifts(grid: tuple[int, int]) -> list[tuple[int, int]]:
    """By how many rows and columns of tokens, without those that move nothing where others do.

    >>> shifts((4, 6)), shifts((1, 6))
    ([(0, 1), (1, 0), (0, 3), (2, 0)], [(0, 1), (0, 3)])
    """
    h, w = grid
    wanted = dict.fromkeys([(0, 1), (1, 0), (0, w // 2), (h // 2, 0)])
    return [(down, right) for down, right in wanted if down % h or right % w] or [(0, 0)]


def interior(grid: tuple[int, int]) -> Tensor:
    """Tokens that are inside before and after each shift, bool [S, h, w].

    >>> interior((4, 4)).sum((1, 2)).tolist()
    [2, 2, 0, 0]
    """
    inside_hw = torch.zeros(grid, dtype=torch.bool)
    inside_hw[1:-1, 1:-1] = True
    return torch.stack([inside_hw & inside_hw.roll(by, (0, 1)) for by in shifts(grid)])


def _errors(subject: Subject, batches: list[Batch], t: float, grid: tuple[int, int]) -> Tensor:
    """Squared error over the velocity's variance for each shift and token, [S, h, w] float64 on the CPU."""
    patch, moves = subject.config.model.patch, shifts(grid)
    errors_Shw = torch.zeros(len(moves), *grid, dtype=torch.float64)
    velocities = []
    for batch in batches:
        t_B = torch.full_like(batch.index_B, t, dtype=torch.float32)
        x_BCHW, _ = batch.noised(t_B, place=TIMES.index(t))
        v_BCHW = subject.velocity(x_BCHW, t_B, batch.labels_B)
        velocities.append(v_BCHW.double().cpu())
        for error_hw, (down, right) in zip(errors_Shw, moves, strict=True):
            by = patch * down, patch * right
            shifted = subject.velocity(x_BCHW.roll(by, (2, 3)), t_B, batch.labels_B)
            square_BCHW = (shifted - v_BCHW.roll(by, (2, 3))).double().square()
            tokens = square_BCHW.unflatten(3, (grid[1], patch)).unflatten(2, (grid[0], patch))
            error_hw += tokens.sum((0, 1, 3, 5)).cpu()
    v_NCHW = torch.cat(velocities)
    errors_Shw *= errors_Shw[0].numel() / v_NCHW.numel()
    variance = v_NCHW.var(correction=0)
    return errors_Shw / variance if variance > 0 else errors_Shw  # which are 0 where nothing varies
