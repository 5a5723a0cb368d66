"""Pictures from a trained network, in fixed chunks of consecutive indices.

Noise and class of picture i depend on the sampling seed and on i alone, so that picture i starts the same in
every arm, at every step and in every order of work; the noise that a stochastic solver adds to it depends on
its own step too. Chunks are always whole, so a picture's bits do not depend on n.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from experiments.config.run import RunConfig
from experiments.datasets.batches import to_uint8
from experiments.records.score import TRAINED
from rope_dit.averages.names import named
from rope_dit.errors import Diverged, Stopped, check
from rope_dit.guidance.base import Counted, Network, unguided
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.model import DiT
from rope_dit.randomness import Stream, integers, normal
from rope_dit.registry import OBJECTIVES
from rope_dit.samplers.base import Noise, Velocity
from rope_dit.samplers.spec import SamplerSpec
from rope_dit.trainer import autocast

GOLDEN = 2654435769
"""2^32 divided by the golden ratio, rounded to an odd number: multiples of it are spread most evenly"""
Profiles = Mapping[str, Sequence[Tensor]]
"""weights by their names, each in the order of the model's parameters"""


class Generator:
    """Samples from one network whose weights can be exchanged.

    Args:
        model: network on its device; its weights are overwritten by `load`.
        config: the run, resolved.
        labels: labels of the training pictures, int64 [N]; generated classes follow their distribution.
        shape: (C, H, W) of a picture.
        stop: asked at every evaluation of the network; a True raises Stopped.
    """

    def __init__(
        self,
        model: DiT,
        config: RunConfig,
        labels: NDArray[np.int64],
        shape: Sequence[int],
        stop: Callable[[], bool],
    ):
        self.model, self.config, self.stop = model.eval(), config, stop
        self.shape = self._trained = tuple(shape)
        self.device = next(model.parameters()).device
        self.chunk = config.eval.chunk
        self._sorted_labels = torch.from_numpy(np.sort(labels)).to(self.device)
        self._objective = OBJECTIVES.bind(config.train.objective)()
        compiles = config.train.compile != "off"
        self._compiled = torch.compile if compiles else lambda model: model
        self._network: Network = self._compiled(self.model)
        self._weak: Network | None = None
        self._step = 0
        self._tokens = TRAINED, "none"

    def enlarge(self, height: int, width: int, extrapolation: str) -> None:
        """Make pictures of this size in pixels from here on, and do about larger ones what a spec says.

        Raises UserError where the model's patch does not divide it, or the spec has no meaning for the model.
        """
        patch = self.config.model.patch
        check(height % patch == 0 and width % patch == 0, "--size", f"{height}x{width}",
              f"sides that the model's patch, {patch}, divides")  # fmt: skip
        self.model.set_extrapolation(extrapolation)
        self.shape = (self.shape[0], height, width)

    def take_tokens(self, tokens: str, extrapolation: str) -> None:
        """Make pictures of this grid of tokens from here on, or of the trained one; before `load_for`."""
        if (tokens, extrapolation) != self._tokens:
            _, height, width = self.shape_of(tokens)
            self.enlarge(height, width, extrapolation)
            self._tokens = tokens, extrapolation

    def shape_of(self, tokens: str) -> tuple[int, ...]:
        """(C, H, W) of pictures of this grid of tokens, or of the trained one."""
        if tokens == TRAINED:
            return self._trained
        return (self._trained[0], *(int(side) * self.config.model.patch for side in tokens.split("x")))

    def at_trained_size(self, pictures: Tensor) -> Tensor:
        """Pictures uint8 [n, C, H, W] in the trained size, each pixel the mean of the area it covers."""
        if pictures.shape[2:] == self._trained[1:]:
            return pictures
        resized = F.interpolate(pictures.float(), self._trained[1:], mode="area")
        return resized.round().clamp(0, 255).to(torch.uint8)

    def load(self, weights: Sequence[Tensor], step: int) -> None:
        """Take the weights of this training step, in the order of the model's parameters."""
        self._step = step
        _fill(self.model, weights)

    def load_for(self, guidance: GuidanceSpec, average: str, profiles: Profiles, step: int) -> None:
        """Take the weights of this average, and beside them those that a guidance asks, if any."""
        self.load(profiles[average], step)
        self._weak = None
        if guidance.weak:
            name = named(guidance.weak, profiles)
            assert name is not None, "settings are refused before"
            model = copy.deepcopy(self.model)
            _fill(model, profiles[name])
            self._weak = self._compiled(model)

    def labels(self, indices: range, sampling_seed: int) -> Tensor:
        """Classes of pictures, int64 [n], distributed as in the training data.

        Independent draws vary in how many they have of each class, and scores with them. Proportional ones
        go through the sorted labels by the golden ratio from a place of the sampling seed's own, so that any
        first n have each class within a few of its share, whatever its place (Weyl, Math. Ann. 77, 1916).
        """
        index = torch.arange(indices.start, indices.stop, device=self.device)
        if self.config.eval.classes == "data":
            words = integers(sampling_seed, Stream.EVAL_CLASS, index, 1)[:, 0]
        else:
            first = integers(sampling_seed, Stream.EVAL_CLASS, index[:1] * 0, 1)[:, 0]
            words = (first + index * GOLDEN) % 2**32
        return self._sorted_labels[words * len(self._sorted_labels) >> 32]

    def noise(self, indices: range, sampling_seed: int) -> Tensor:
        """Starting noise of pictures, [n, C, H, W]."""
        index = torch.arange(indices.start, indices.stop, device=self.device)
        count = int(np.prod(self.shape))
        return normal(sampling_seed, Stream.EVAL_NOISE, index, count).view(-1, *self.shape)

    def step_noise(self, indices: range, sampling_seed: int) -> Noise:
        """Noise of pictures for stochastic solvers: of (sampling seed, picture, step of the solver) alone."""
        assert indices.stop <= 2**32, "a picture's index has 32 bits, and the step those above"
        index = torch.arange(indices.start, indices.stop, device=self.device)

        def noise(step: int, x_BCHW: Tensor) -> Tensor:
            assert 0 <= step < 2**31, f"step {step} has no noise of its own"
            drawn = normal(sampling_seed, Stream.SDE_NOISE, index + (step << 32), x_BCHW[0].numel())
            return drawn.view_as(x_BCHW).to(x_BCHW)

        return noise

    @torch.inference_mode()
    def chunk_of(
        self, number: int, sampler: SamplerSpec, guidance: GuidanceSpec, sampling_seed: int
    ) -> tuple[Tensor, float]:
        """Pictures [chunk, C, H, W] uint8 of chunk `number`, and network evaluations a picture.

        Raises Diverged where they are not finite, which rounding would hide: NaN is rounded to black.
        """
        try:
            x, nfe = self.solved(number, sampler, guidance, sampling_seed)
        except FloatingPointError as error:  # of a solver that looks at its steps
            raise self._diverged(sampler, guidance, str(error)) from None
        if bad := int((~x.isfinite()).flatten(1).any(1).sum()):
            raise self._diverged(sampler, guidance, f"{bad} of {len(x)} pictures are not finite")
        return to_uint8(x), nfe

    def _diverged(self, sampler: SamplerSpec, guidance: GuidanceSpec, found: str) -> Diverged:
        how = f"({sampler.slug}, guidance {guidance.short})"
        mend = f"Lower train.lr (now {self.config.train.lr:g}) or the guidance's weight."
        return Diverged(f"diverged at step {self._step}: {found} {how}. {mend}", self._step)

    @torch.inference_mode()
    def solved(
        self, number: int, sampler: SamplerSpec, guidance: GuidanceSpec, sampling_seed: int
    ) -> tuple[Tensor, float]:
        """As `chunk_of`, in floats and unchecked, so that the host waits for nothing."""
        indices = range(number * self.chunk, (number + 1) * self.chunk)
        network = Counted(partial(self._evaluate, self._network))
        weak = Counted(partial(self._evaluate, self._weak)) if self._weak else None
        labels = self.labels(indices, sampling_seed)
        velocity = guidance.velocity(network, labels, self.model.null_label, weak)
        noise, more = self.noise(indices, sampling_seed), self.step_noise(indices, sampling_seed)
        x_BCHW = sampler.build()(velocity, noise, more)
        return x_BCHW, (network.rows + (weak.rows if weak else 0)) / self.chunk

    def unguided(self, indices: range, sampling_seed: int) -> tuple[Velocity, Tensor]:
        """The network's own velocity of pictures, and the noise that they start from."""
        labels = self.labels(indices, sampling_seed)
        velocity = unguided(partial(self._evaluate, self._network), labels)
        return velocity, self.noise(indices, sampling_seed)

    def _evaluate(self, network: Network, x_BCHW: Tensor, t_B: Tensor, labels_B: Tensor) -> Tensor:
        if self.stop():
            raise Stopped
        with autocast(self.config.train, self.device):
            out_BCHW = network(x_BCHW, t_B, labels_B)
        v_BCHW: Tensor = self._objective.velocity(out_BCHW.float(), x_BCHW, t_B)
        return v_BCHW


@torch.no_grad()
def _fill(model: DiT, weights: Sequence[Tensor]) -> None:
    for p, w in zip(model.parameters(), weights, strict=True):
        p.copy_(w)
