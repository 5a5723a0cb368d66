"""What a coupling is: which noise of a batch goes with which of its pictures."""

from torch import Tensor

from rope_dit.randomness import Numbers


class Coupling:
    """Base of all couplings: noise i goes with picture i. Options: keyword-only arguments of `__init__`."""

    def pair(
        self, images_BCHW: Tensor, labels_B: Tensor, noise_BCHW: Tensor, numbers: Numbers
    ) -> Tensor | None:
        """Return which noise goes with each picture, int64 [B], each once; None for the order as it is.

        Called for some steps ahead, with the global batch on the CPU, so that all devices pair alike.

        Args:
            images_BCHW: pictures in [-1, 1], float32.
            labels_B: their classes.
            noise_BCHW: noise, float32.
            numbers: random numbers of this step, stream COUPLING, for couplings that draw.
        """
        return None
