"""Five positional embeddings on CIFAR-10 at a size for CPUs: 8x8 tokens, one epoch.

  python -m experiments.study cifar10_small
  python -m experiments.study cifar10_small --data folder:PATH --data.image-size 32      pictures of your own

Cost: 25 runs of 8 CPU minutes (Intel Xeon), and 6 minutes once for features of real pictures; not yet run.
Expected: not yet run.
"""

from experiments.config.study import study

STUDY = study(
    "cifar10-small",
    variants=("none", "learned", "rope1d", "rope2d", "learned+rope2d"),
    seeds=5,
    confirm=("rope2d",),
)
