"""A CUDA device that is not there: tensors on it have shapes and no numbers, and what must not be done fails.

Within `rehearsal()`, tensors on "cuda" are torch's fake ones. They refuse to be mixed with others on the CPU,
and whoever reads a number of theirs raises. Tensors on the CPU stay real. What is copied between the two is
noted, for the host waits at each copy.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
    unset_fake_temporarily,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CUDA = torch.device("cuda", 0)
COPIES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)


class HostWaits(AssertionError):
    """A number on the device was read by the host."""


class Watch(TorchDispatchMode):
    """Stands before the fake device: what touches the CPU alone is done for real, and copies are noted."""

    def __init__(self) -> None:
        super().__init__()
        self.copies: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.namespace == "aten" and torch.is_inference_mode_enabled():
            with self:  # operations come as they were called there, and not as what they consist of
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if func is torch.ops.aten._local_scalar_dense.default and on_cuda(args[0].device):
            raise HostWaits(f"a number on {args[0].device} was read")
        device = kwargs.get("device")
        if not any(isinstance(t, FakeTensor) for t in tensors) and not (device and on_cuda(device)):
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        try:
            result = func(*args, **kwargs)
        except (DataDependentOutputException, DynamicOutputShapeException) as error:
            raise HostWaits(f"{func}: what comes out depends on numbers on the device") from error
        if func in COPIES:
            begin, end = tensors[-1].device, result.device
            if begin.type != end.type:
                self.copies.append(f"{begin.type} to {end.type}: {tuple(result.shape)}")
        return result


def on_cuda(device: Any) -> bool:
    return torch.device(device).type == "cuda"


@contextmanager
def rehearsal() -> Iterator[Watch]:
    """Within it "cuda" exists, but for the backward pass, for which autograd wants a real one."""
    with FakeTensorMode(allow_non_fake_inputs=True), Watch() as watch:
        yield watch


def moved(module: nn.Module) -> nn.Module:
    """Put parameters and buffers on the device, as `module.to` does with a real one. All else stays."""
    for each in module.modules():
        for name, p in each._parameters.items():
            each._parameters[name] = p if p is None else nn.Parameter(torch.empty_like(p, device=CUDA))
        for name, b in each._buffers.items():
            each._buffers[name] = b if b is None else torch.empty_like(b, device=CUDA)
    return module


@contextmanager
def zero_gradients(module: nn.Module) -> Iterator[None]:
    """Let `backward` give each weight a gradient of zeros."""

    def backward(loss: Tensor) -> None:
        assert loss.shape == (), loss.shape
        assert on_cuda(loss.device), loss.device
        for p in module.parameters():
            p.grad = torch.zeros_like(p)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tensor, "backward", backward)
        yield


QUICK = ("learned", "rope2d", "relative_bias", "velocity")
"""what stands for all of its kind in tests that are quick"""


def cases(specs: Iterable[str], quick: Sequence[str] = QUICK) -> list[Any]:
    """Parameters of a test: those that are not quick are slow."""
    return [pytest.param(spec, marks=() if spec in quick else pytest.mark.slow) for spec in specs]


def positions_for(variant: str) -> str:
    """Positions that a variant takes: some of its frequencies are meant for normalized ones alone."""
    return "normalized:by=max" if "frequencies=" in variant and "theta" not in variant else "index"
