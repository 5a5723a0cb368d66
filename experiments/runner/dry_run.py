"""What a run would be and cost, without training it: `--dry-run`."""

import time
from dataclasses import replace
from math import prod

import torch
from torch.utils.flop_counter import FlopCounterMode

from experiments.config.text import flatten
from experiments.records.score import TRAINED
from experiments.runner.resolve import Resolved, build_model, device_text
from experiments.scoring.jobs import Job, curve_jobs, final_jobs, larger_jobs
from rope_dit.trainer import Training, autocast, train

TIMED_STEPS = 3


def describe(resolved: Resolved) -> str:
    """Resolved settings, weights, FLOPs and a time estimate from a few steps on throw-away weights."""
    config = resolved.config
    model = resolved.build_model()
    total = sum(p.numel() for p in model.parameters())
    own = sum(p.numel() for p in model.pos_embed.parameters())
    flops = forward_flops(resolved)
    training, sampling = estimated_seconds(resolved)
    lines = [f"{key:<26}{value or '-'}" for key, value in sorted(flatten(config).items())]
    lines += [
        f"{'run folder':<26}{resolved.folder.path}",
        f"{'device':<26}{device_text(resolved.device)}",
        f"{'pictures':<26}{len(resolved.images.train)} train, {len(resolved.images.held_out)} held out, "
        f"{'x'.join(map(str, resolved.images.train.shape[1:]))}, {len(resolved.images.classes)} classes",
        f"{'parameters':<26}{total:,}, of the variant {own:,}",
        f"{'FLOPs a picture':<26}{flops / 1e6:,.1f} M forward, {3 * flops / 1e6:,.1f} M a training step",
        f"{'estimated time':<26}{training / 60:.1f} min training, {sampling / 60:.1f} min sampling",
    ]
    return "\n".join(lines)


def estimated_seconds(resolved: Resolved) -> tuple[float, float]:
    """Seconds of training and of sampling, from a few steps on throw-away weights."""
    config = resolved.config
    step, forward = _time(resolved)
    curves = config.train.steps // config.eval.every if config.eval.every else 0
    jobs = [*final_jobs(config), *larger_jobs(config), *curve_jobs(config) * curves]
    forwards = sum(
        (job.sampler.nfe or 150) * job.guidance.evals * max(job.ns) * _share(resolved, job) for job in jobs
    )
    return config.train.steps * step, forwards * forward


def _share(resolved: Resolved, job: Job) -> float:
    """How much more a job's pictures are than those of the training, in tokens; attention grows faster."""
    if job.tokens == TRAINED:
        return 1.0
    tokens = prod(int(side) for side in job.tokens.split("x"))
    return tokens * resolved.config.model.patch**2 / prod(resolved.images.train.shape[2:])


def forward_flops(resolved: Resolved) -> int:
    """Floating-point operations of one evaluation of the network on one picture (a multiply-add counts 2)."""
    with torch.device("meta"):
        model = build_model(resolved.config, resolved.images)
        model = model.to("meta")  # tables of angles are made on the CPU
        x, t = torch.empty(1, *resolved.images.train.shape[1:]), torch.empty(1)
        labels = torch.zeros(1, dtype=torch.int64)
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            model(x, t, labels)
    return counter.get_total_flops()


def _time(resolved: Resolved) -> tuple[float, float]:
    """Seconds of a training step and of a forward pass of one picture, uncompiled, on throw-away weights."""
    config, device = replace(resolved.config.train, compile="off"), resolved.device
    images = torch.zeros((config.batch, *resolved.images.train.shape[1:]), device=device)
    times = images.new_zeros(len(images))
    labels = times.long()
    training = Training.fresh(resolved.build_model(), config)
    steps, forwards = [], []
    begun = time.perf_counter()
    until = min(TIMED_STEPS + 1, config.steps)
    for _ in train(training, lambda step: (images, labels), seed=0, until=until):
        wait_for(device)
        middle = time.perf_counter()
        with torch.no_grad(), autocast(config, device):
            training.model(images, times, labels)
        wait_for(device)
        steps.append(middle - begun)
        begun = time.perf_counter()
        forwards.append(begun - middle)
    return min(steps[1:] or steps), min(forwards[1:] or forwards) / config.batch


def wait_for(device: torch.device) -> None:
    """Wait until the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
