"""Noise as it comes."""

from rope_dit.couplings.base import Coupling
from rope_dit.registry import COUPLINGS


@COUPLINGS.register("independent")
class Independent(Coupling):
    """Noise and pictures are independent of each other (arXiv:2209.03003)."""
