"""Settings of the library's parts, as frozen dataclasses. Imports no torch, so that `--help` stays fast.

Every field here changes the weights of a run and is part of its fingerprint, except those in `NOT_WEIGHTS`.
"""

import math
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, Literal, get_type_hints

from rope_dit.errors import check
from rope_dit.registry import (
    AVERAGES,
    COUPLINGS,
    DENSITIES,
    OBJECTIVES,
    OPTIMIZERS,
    POSITIONS,
    SCHEDULES,
    Registry,
)

NUMERICS = 1
"""version of model, flow, trainer and randomness together, part of every run's identity; raised by whoever
changes a golden value of theirs on purpose"""
NOT_WEIGHTS = frozenset({"averages", "log_every", "save_seconds"})


@dataclass(frozen=True)
class Neutral:
    """What a setting counted as before it existed, for one that was added later.

    Written as `decay_tables: Annotated[bool, Neutral(True)] = False`: runs that do not know the setting count
    as True, and at True it is in no identity.
    """

    value: Any


@dataclass(frozen=True)
class SpecOf:
    """The setting is a spec of this registry, or several; written as `Annotated[str, SpecOf(OBJECTIVES)]`."""

    registry: Registry[Any]


def spec_fields(config_type: Any) -> dict[str, Registry[Any]]:
    """Registries of those fields that are specs, by the field's name."""
    hints = get_type_hints(config_type, include_extras=True)
    marks = {name: getattr(hint, "__metadata__", ()) for name, hint in hints.items()}
    found = {name: [m.registry for m in all_ if isinstance(m, SpecOf)] for name, all_ in marks.items()}
    return {name: registries[0] for name, registries in found.items() if registries}


def neutral(config_type: Any, name: str) -> Any:
    """Neutral value of a field, or dataclasses.MISSING for one that has always been there."""
    hint = get_type_hints(config_type, include_extras=True)[name]
    marks = [mark for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, Neutral)]
    return marks[0].value if marks else MISSING


def check_finite(config: Any, prefix: str) -> None:
    """Refuse nan and inf in any float field."""
    for f in fields(config):
        value = getattr(config, f.name)
        finite = not isinstance(value, float) or math.isfinite(value)
        check(finite, f"{prefix}.{option(f.name)}", value, "a finite number")


def option(name: str) -> str:
    """Write a field's name as the command line does: `num_heads` -> `num-heads`."""
    return name.replace("_", "-")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The DiT. Image size, channels and classes come from the data."""

    dim: int = 64
    """width of the tokens"""
    depth: int = 4
    """number of blocks"""
    num_heads: int = 4
    """attention heads; the head width is dim / num-heads"""
    patch: int = 2
    """side of a square patch, in pixels"""
    mlp_ratio: float = 4.0
    """hidden width of the MLP, in multiples of dim"""
    mlp: Literal["gelu", "swiglu"] = "gelu"
    """swiglu uses 2/3 of the hidden width, so that both have equally many weights"""
    norm: Literal["layernorm", "rmsnorm"] = "layernorm"
    """normalisation before attention and MLP, without weights of its own (adaLN has them)"""
    qk_norm: bool = False
    """RMS-normalise queries and keys per head, with learned scales"""
    adaln: Literal["per_block", "shared"] = "per_block"
    """shared: one modulation for all blocks plus a learned offset per block (PixArt's adaLN-single)"""
    conditional: bool = True
    """condition on the class; False trains an unconditional model"""
    registers: Annotated[int, Neutral(0)] = 0
    """learned tokens beside the patches, without position and dropped at the end"""
    positions: Annotated[str, SpecOf(POSITIONS), Neutral("index")] = "index"
    """where tokens are, for every variant that uses coordinates: index, normalized+shift; --list positions"""

    def __post_init__(self) -> None:
        check_finite(self, "model")
        for name in ("dim", "depth", "num_heads", "patch"):
            value = getattr(self, name)
            check(value >= 1, f"model.{option(name)}", value, "a whole number of at least 1")
        divides = self.dim % self.num_heads == 0
        check(divides, "model.num-heads", self.num_heads, f"a divisor of model.dim ({self.dim})")
        fits = 0 <= self.registers <= 10_000
        check(fits, "model.registers", self.registers, "a whole number from 0 to 10000")
        check(self.dim % 2 == 0, "model.dim", self.dim, "an even number (the time embedding has pairs)")
        wide = 0 < self.mlp_ratio <= 1000 and round(self.dim * self.mlp_ratio) >= 1
        check(wide, "model.mlp-ratio", self.mlp_ratio, "a number above 0 and up to 1000")

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.num_heads


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Optimisation. What can be one of several things is a spec: a registered name with its options."""

    steps: int = 1600
    """optimizer steps"""
    batch: int = 64
    """pictures per step"""
    objective: Annotated[str, SpecOf(OBJECTIVES), Neutral("velocity")] = "velocity"
    """what the network predicts, and where the loss is taken: velocity, x:loss=velocity; --list objectives"""
    density: Annotated[str, SpecOf(DENSITIES)] = "logit_normal"
    """how training times are drawn: logit_normal:mean=0.5, uniform, stratified+uniform; --list densities"""
    coupling: Annotated[str, SpecOf(COUPLINGS), Neutral("independent")] = "independent"
    """which noise goes with which picture of a batch: independent, ot; --list couplings"""
    optimizer: Annotated[str, SpecOf(OPTIMIZERS), Neutral("adamw")] = "adamw"
    """adamw, or muon:lr=0.02 for the blocks' matrices; --list optimizers"""
    lr: float = 2e-3
    """AdamW's learning rate after the warm-up"""
    schedule: Annotated[str, SpecOf(SCHEDULES)] = "cosine"
    """what the learning rate does after the warm-up: constant, cosine, linear, wsd; --list schedules"""
    warmup_steps: int = 100
    """steps over which the learning rate rises linearly"""
    beta2: float = 0.99
    """AdamW's second decay (beta1 is 0.9)"""
    weight_decay: float = 0.0
    """decoupled weight decay, on matrices only"""
    decay_tables: Annotated[bool, Neutral(True)] = False
    """decay tables too: embeddings of classes and positions, and all else that a variant has"""
    clip: float = 1.0
    """largest gradient norm; larger gradients are scaled down"""
    averages: Annotated[tuple[str, ...], SpecOf(AVERAGES)] = ("warmup:decay=0.99",)
    """averages of the weights that are kept; the first is the one that counts; --list averages"""
    label_dropout: float = 0.1
    """share of pictures trained with the null class; 0 leaves the null class out, and guidance with it"""
    flip: bool = False
    """mirror half of the pictures"""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: bf16 autocast on CUDA and on CPUs with bf16 instructions for models wide enough to gain"""
    compile: Literal["auto", "off", "on", "graphs"] = "auto"
    """torch.compile, graphs: with CUDA graphs; auto: on for CUDA, off elsewhere"""
    threads: int = 0
    """CPU threads; 0 means all cores of this process; part of the fingerprint, since it changes bits"""
    log_every: int = 40
    """steps between two points of the training curves"""
    save_seconds: float = 30.0
    """time between two checkpoints; when they are made changes no result"""

    def __post_init__(self) -> None:
        check_finite(self, "train")
        for names, least, below, expected in (
            (("steps", "batch", "log_every"), 1, math.inf, "a whole number of at least 1"),
            (("lr", "clip"), math.ulp(0), math.inf, "a number above 0"),
            (("weight_decay", "warmup_steps", "threads", "save_seconds"), 0, math.inf, "0 or more"),
            (("beta2", "label_dropout"), 0, 1, "a number from 0 to below 1"),
        ):
            for name in names:
                value = getattr(self, name)
                check(least <= value < below, f"train.{option(name)}", value, expected)
        check(len(self.averages) > 0, "train.averages", "nothing", "at least one, such as warmup:decay=0.99")
        check(self.warmup_steps <= self.steps, "train.warmup-steps", self.warmup_steps,
              f"at most train.steps ({self.steps})")  # fmt: skip
