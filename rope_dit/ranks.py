"""One training in several processes, each on a device of its own; to a single process all of this is free.

Two kinds of talk: tensors between devices (`mean`, `sum`, DDP), for which no host waits on CUDA, and wishes
and results between hosts (`any`, `first`, `gather`), for which they do.
"""

import contextlib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from rope_dit.errors import Diverged, Stopped, UserError

S = TypeVar("S")
T = TypeVar("T")
SAID = "raised on rank 0, which will say so"


class _Losses(nn.Module):
    """Losses as a module that holds the model, which is what DDP can wrap."""

    def __init__(self, losses: Callable[..., Tensor], model: nn.Module):
        super().__init__()
        self.losses, self.model = losses, model

    def forward(self, *rest: Any) -> Tensor:
        return self.losses(self.model, *rest)


class RankLost(ConnectionError):
    """Another process of the run has ended or does not answer."""


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is. With more than one, torch's process group must be up.

    Args:
        rank: from 0; rank 0 leads: it alone writes.
        size: how many there are.
        every: training steps between two talks of the hosts.
    """

    rank: int = 0
    size: int = 1
    every: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks to people."""
        return self.rank == 0

    def part(self, rows: Tensor) -> Tensor:
        """This rank's share of a global batch: consecutive rows, equally many on all ranks."""
        if self.size == 1:
            return rows
        count = len(rows) // self.size
        assert count * self.size == len(rows), f"{len(rows)} rows do not go into {self.size} ranks"
        return rows[self.rank * count : (self.rank + 1) * count]

    def share(self, losses: Callable[..., Tensor], model: nn.Module) -> Callable[..., Tensor]:
        """`losses` with the model as first argument; the model's gradients become means over all ranks.

        DDP stands outermost, for torch.compile traces neither it nor a part of it then.
        """
        if self.size == 1:
            return partial(losses, model)
        device = next(model.parameters()).device
        devices = [device] if device.type == "cuda" else None
        # tables of positions never change; torch 2.15 renamed the option that sends them at every step
        known = inspect.signature(DistributedDataParallel).parameters
        name = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
        options: dict[str, Any] = {"device_ids": devices, name: False}
        return DistributedDataParallel(_Losses(losses, model), **options)

    def sum(self, values: Tensor) -> Tensor:
        """Sum over all ranks, on the device and of the same bits everywhere; `values` is overwritten."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def mean(self, values: Tensor) -> Tensor:
        """Mean over all ranks, as `sum`."""
        return values if self.size == 1 else self.sum(values.clone()) / self.size

    @torch.no_grad()
    def spread(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite these tensors by those of rank 0."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def any(self, wish: bool) -> bool:
        """Whether any rank has this wish; all must ask."""
        return wish if self.size == 1 else bool(self.sum(torch.tensor([int(wish)])))

    def _raise_first(self, error: Exception | None) -> None:
        """Raise the first error that a rank brings, the same on all of them; all must ask."""
        if not self.any(error is not None):
            return
        found: list[Any] = [error]
        if self.size > 1:
            found = [None] * self.size
            dist.all_gather_object(found, error)
        raise next(one for one in found if one)

    def any_at(self, step: int, wish: bool) -> bool:
        """As `any`, in the steps in which the hosts talk; in those between, no."""
        return wish if self.size == 1 else step % self.every == 0 and self.any(wish)

    def first(self, make: Callable[[], T]) -> T:
        """What `make` gives on rank 0, for all ranks. A UserError or Stopped of it is raised on all."""
        if self.size == 1:
            return make()
        box: list[Any] = [None, RankLost("rank 0 failed.")]
        if not self.leads:
            dist.broadcast_object_list(box, src=0)
        else:
            try:
                box = [make(), None]
            except (UserError, Stopped) as error:
                box[1] = error
            finally:  # whatever became of it, the others must not wait
                dist.broadcast_object_list(box, src=0)
        if box[1] is not None:
            if not self.leads:
                box[1].add_note(SAID)
            raise box[1]
        return box[0]  # type: ignore[no-any-return]

    def leading(self, make: Callable[[], T], otherwise: T) -> T:
        """What `make` gives on rank 0, and `otherwise` on the others, once it is made. Raises as `first`."""
        if self.size == 1:
            return make()
        made = [otherwise]
        self.first(lambda: made.insert(0, make()))
        return made[0]

    def first_alone(self, make: Callable[[], T]) -> T:
        """What `make` gives on each rank; rank 0 is done before the others begin: for downloads."""
        if self.size == 1:
            return make()
        made: list[T] = []
        self.first(lambda: made.append(make()))
        return made[0] if self.leads else make()

    def gather(self, mine: T) -> list[T]:
        """What all ranks bring, in their order; on other ranks than 0, nothing."""
        if self.size == 1:
            return [mine]
        found: list[Any] | None = [None] * self.size if self.leads else None
        dist.gather_object(mine, found, dst=0)
        return found or []

    def divide(
        self, items: Sequence[S], work: Callable[[S], T], stop: Callable[[], bool]
    ) -> Iterator[list[tuple[S, T]]]:
        """Do `work` on items, one a rank at a time; all ranks must go through it to its end.

        Yields, on rank 0, each round's items with what came of them; on other ranks, nothing but empty lists.
        Raises Stopped on all ranks as soon as `stop` says so on one of them, or its `work` raised it; and so
        Diverged.
        """
        for first in range(0, len(items), self.size):
            mine, made = first + self.rank, []
            error: Stopped | Diverged | None = Stopped() if stop() else None
            if mine < len(items) and not error:
                try:
                    made = [work(items[mine])]
                except (Stopped, Diverged) as raised:
                    error = raised
            self._raise_first(error)
            found = [one for part in self.gather(made) for one in part]
            yield list(zip(items[first:], found, strict=False))

    @contextlib.contextmanager
    def lost(self) -> Iterator[None]:
        """Raise RankLost for what torch raises once another rank is gone."""
        try:
            yield
        except RuntimeError as error:
            broken = isinstance(error, dist.DistError) or re.search(r"gloo|nccl|by peer", str(error), re.I)
            if self.size == 1 or not broken:
                raise
            raise RankLost(
                "another rank is gone or does not answer; the same command goes on from the last checkpoint."
            ) from error


ONE = Ranks()
