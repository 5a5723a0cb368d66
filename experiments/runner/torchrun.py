"""One run over several processes that torchrun started: who they are, how they meet, what they say.

Imports no torch until they meet, so that a typo on the command line is answered at once.
"""

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from experiments.cli.main import BAD_INPUT, FAILED, OK, StopFlag
from experiments.config.launch import usable_cores
from experiments.config.run import RunConfig
from experiments.runner.run import check_cheaply
from rope_dit.errors import Diverged, Stopped, UserError, check

if TYPE_CHECKING:
    from rope_dit.ranks import Ranks

PATIENCE = timedelta(minutes=30)  # for rank 0, which downloads, scores and tracks while the others wait
CUDA_EVERY = 16  # steps; hosts that talk at each step would wait for each other
SAID_SECONDS = 10.0  # in which rank 0 has ended over a mistake that all have
_NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def declared() -> tuple[int, int]:
    """Rank and number of ranks as torchrun says in the environment; (0, 1) without it."""
    if not all(os.environ.get(name) for name in _NAMES):
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def alone() -> bool:
    """Whether this process is all there is of a run."""
    return declared()[1] == 1


def leads() -> bool:
    """Whether this process writes files and speaks to people."""
    return declared()[0] == 0


def run_together(config: RunConfig, stop: StopFlag) -> int:
    """Carry out one run on all ranks, as `experiments.runner.run.run` does in one process."""
    check_cheaply(config)
    from experiments.runner.dry_run import describe
    from experiments.runner.execute import execute
    from experiments.runner.preflight import try_items
    from experiments.runner.resolve import resolve_run

    rank, size = declared()
    config = fit_to_ranks(config, size)
    if config.dry_run:
        if rank == 0:
            resolved = resolve_run(config, size)
            try_items(resolved)
            print(describe(resolved))
        return OK
    with joined(config.device, rank, size, stop) as ranks, contextlib.ExitStack() as held:
        resolved = ranks.first_alone(lambda: resolve_run(config, size))
        ranks.leading(lambda: held.enter_context(resolved.folder.held()), None)
        return execute(resolved, stop, ranks)


def fit_to_ranks(config: RunConfig, size: int) -> RunConfig:
    """Settings for one of `size` ranks. Raises UserError where the batch cannot be divided among them."""
    if size == 1:
        return config
    import torch

    batch = config.train.batch
    check(batch % size == 0, "train.batch", batch, f"a multiple of {size}, the ranks that share it")
    expected = "auto, off or on; CUDA graphs have not been tried with several ranks"
    check(config.train.compile != "graphs", "train.compile", "graphs", expected)
    if not config.train.threads:
        here = int(os.environ.get("LOCAL_WORLD_SIZE", size))
        config = replace(config, train=replace(config.train, threads=max(1, usable_cores() // here)))
    device = config.device
    check(device != "mps", "device", device, "cuda or cpu: ranks cannot share a run on mps")
    return replace(config, device="cpu" if device == "auto" and not torch.cuda.is_available() else device)


@contextlib.contextmanager
def joined(device: str, rank: int, size: int, stop: StopFlag) -> Iterator["Ranks"]:
    """Be one of the ranks inside the block, on a GPU of its own where `device` is cuda or auto."""
    from rope_dit.ranks import ONE, Ranks

    if size == 1:
        yield ONE
        return
    import torch
    import torch.distributed as dist

    cuda = device != "cpu" and torch.cuda.is_available()
    if cuda:
        local, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        check(local < there, "--nproc-per-node", local + 1, f"at most {there}, the GPUs of this machine")
        torch.cuda.set_device(local)
    # torchrun passes Ctrl-C on to processes that the terminal has told already: twice is no second wish
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda number, frame: setattr(stop, "signal", number))
    ranks = Ranks(rank, size, CUDA_EVERY if cuda else 1)
    with ranks.lost():
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=PATIENCE)
    try:
        with ranks.lost():
            yield ranks
    except (Stopped, Diverged):  # on all ranks at once
        _leave(ranks)
        raise
    _leave(ranks)


def _leave(ranks: "Ranks") -> None:
    """End together: torchrun stops all as soon as one has failed, and rank 0 may still have to save."""
    import torch.distributed as dist

    with contextlib.suppress(RuntimeError):
        ranks.any(False)
        dist.destroy_process_group()


def follow(work: Callable[[], int], stop: StopFlag) -> int:
    """Do the work of another rank than 0: it prints nothing, nor an error that rank 0 has too."""
    from rope_dit.ranks import SAID

    logging.getLogger().setLevel(logging.ERROR)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            return work()
        except UserError as error:
            if SAID not in getattr(error, "__notes__", ()) and not _ended(stop):
                raise  # only this rank has it
            return BAD_INPUT
        except (Stopped, KeyboardInterrupt):
            return stop.exit_code
        except (FloatingPointError, ConnectionError):
            return FAILED


def _ended(stop: StopFlag) -> bool:
    """Whether torchrun ends this rank within the time that rank 0 needs to find the same mistake and end."""
    until = time.monotonic() + SAID_SECONDS
    while not stop() and time.monotonic() < until:
        time.sleep(0.05)
    return stop()
