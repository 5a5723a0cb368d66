"""Train the small classifier whose features score a data set: python -m experiments.train_extractor --out FILE.

digits (half a minute on two CPU cores) and cifar10 (below half an hour) come with the project; the command that
made each is in the .json beside its file. Use a file of your own with --eval.extractor FILE.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.classifier import Classifier
from experiments.cli import OK, StopFlag, main, parse
from experiments.config import DataConfig
from experiments.data import Batches
from experiments.datasets import Images, load
from experiments.features import Extractor, load_extractor
from experiments.progress import Progress
from experiments.resolve import choose_device
from rope_dit.checkpoint import Checkpoints, restore, write_durably
from rope_dit.config import check, check_finite
from rope_dit.errors import Stopped
from rope_dit.randomness import Stream, integers
