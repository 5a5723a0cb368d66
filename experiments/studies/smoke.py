"""Two positional embeddings, twenty steps: does the machinery work?

  python -m experiments.study smoke

Cost: 6 runs, half a minute on 2 CPU cores.
Expected: nothing; twenty steps teach no network to draw digits.
"""

from experiments.config.study import study
from experiments.config.tuning import Range, TuneConfig

STUDY = study("smoke", variants=("learned", "rope2d"), seeds=3, tune=TuneConfig(trials=6, width=3, rungs=2))
SPACE = {"train.lr": Range(3e-4, 1e-2, log=True), "theta": Range(10, 10_000, log=True)}
