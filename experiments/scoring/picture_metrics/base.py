"""What picture metrics measure: pixels and the classes that they were made for, the same for every one."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures and how they came about.

    Args:
        pixels: uint8 [N, C, H, W], on the CPU.
        labels: int64 [N], the classes that they are to show.
        patch: side of a token in pixels.
    """

    pixels: Tensor
    labels: Tensor
    patch: int

    def __len__(self) -> int:
        return len(self.pixels)

    def first(self, n: int) -> "Pictures":
        """The first `n` of them."""
        return Pictures(self.pixels[:n], self.labels[:n], self.patch)
