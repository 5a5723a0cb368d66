"""Bases of rotary embeddings: 1D and 2D at theta 100 (images) and 10000 (text).

  python -m experiments.study rope_bases

Cost: 28 runs; not yet run.
Expected: not yet run.
"""

from experiments.config.study import study

STUDY = study(
    "digits",
    name="rope-bases",
    variants=("rope1d:theta=100", "rope1d:theta=10000", "rope2d:theta=100", "rope2d:theta=10000"),
    baseline="rope2d",
)
