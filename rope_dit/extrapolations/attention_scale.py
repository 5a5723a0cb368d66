"""Attention that stays as sharp among more tokens."""

import math

from rope_dit.extrapolations.base import Extrapolation, Fade
from rope_dit.registry import EXTRAPOLATIONS


@EXTRAPOLATIONS.register("attention_scale")
class AttentionScale(Extrapolation):
    """Products of queries and keys times sqrt(log T' / log T), T' tokens at hand and T in training.

    More tokens make the softmax flatter; this keeps its entropy about as it was. It works with any variant,
    beside any other item; biases of logits stay as they are, and `dype` does not fade it.

    Source: Jin et al., arXiv:2306.08645, for diffusion models; as FiT's attention scale, arXiv:2402.12376.

    From 16 to 256 tokens the logarithm doubles:

    >>> f"{AttentionScale().logits(4.0, (16, 256), 1.0):.4f}"
    '1.4142'
    """

    modifies = True
    acts_on = "logits"

    def logits(self, stretch: float, tokens: tuple[int, int], fade: Fade) -> Fade:
        """The square root; a grid of one token has no logarithm to go by."""
        trained, here = tokens
        return math.sqrt(math.log(here) / math.log(trained)) if here > trained > 1 else 1.0
