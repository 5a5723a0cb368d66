"""Four positional embeddings on CIFAR-10: does 2D RoPE keep spatial structure better?

  python -m experiments.study cifar10
  python -m experiments.study cifar10 --data folder:PATH --data.image-size 32      pictures of your own

Cost: 28 runs of 100,000 steps at batch 128; not yet run.
Expected: not yet run.
"""

from experiments.config.study import study
from experiments.config.tuning import Range

STUDY = study("cifar10")
SPACE = {
    "train.lr": Range(5e-5, 2e-3, log=True),
    "train.weight_decay": Range(1e-3, 0.3, log=True),
    "theta": Range(10, 10_000, log=True),
}
