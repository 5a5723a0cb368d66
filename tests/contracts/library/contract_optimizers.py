"""What holds of every optimizer: a bad step changes nothing, and a resumed one goes on to the bit."""

import tiny
import torch
from other_numbers import numbers_count

from rope_dit.registry import OPTIMIZERS


def made(spec):
    dit = tiny.model()
    weights = dict(dit.named_parameters())
    return weights, OPTIMIZERS.bind(spec)(weights, tiny.CONFIG)


def step(weights, optimizer, seed, bad=False, share=0.5):
    generator = torch.Generator().manual_seed(seed)
    for p in weights.values():
        p.grad = torch.full_like(p, torch.nan) if bad else torch.randn(p.shape, generator=generator)
    optimizer.step(lambda highest: share * highest, torch.tensor(float(bad)))


def copied(weights, optimizer):
    live = {**weights, **optimizer.tensors()}
    return {name: tensor.detach().clone() for name, tensor in live.items()}


def every_weight_moves(spec):
    weights, optimizer = made(spec)
    before = copied(weights, optimizer)
    step(weights, optimizer, 0)
    assert all(not torch.equal(before[name], p) for name, p in weights.items())
    assert all(p.isfinite().all() for p in weights.values())


def a_bad_step_changes_nothing(spec):
    weights, optimizer = made(spec)
    step(weights, optimizer, 0)
    before = copied(weights, optimizer)
    step(weights, optimizer, 1, bad=True)
    assert tiny.same(before, copied(weights, optimizer))


def what_a_checkpoint_holds_goes_on_to_the_bit(spec):
    weights, optimizer = made(spec)
    step(weights, optimizer, 0)
    saved = copied(weights, optimizer)
    step(weights, optimizer, 1)
    other, resumed = made(spec)
    assert (other | resumed.tensors()).keys() == saved.keys()
    with torch.no_grad():
        for name, tensor in (other | resumed.tensors()).items():
            tensor.copy_(saved[name])
    step(other, resumed, 1)
    assert tiny.same(copied(weights, optimizer), copied(other, resumed))


def weights_after(text, seeds=(0, 1), share=0.5):
    weights, optimizer = made(text)
    for seed in seeds:
        step(weights, optimizer, seed, share=share)
    return [p.detach().flatten().tolist() for p in weights.values()]


def its_numbers_count(spec):
    numbers_count(OPTIMIZERS, spec, weights_after)


def the_rate_counts_for_every_weight(spec):
    usual, slower = (weights_after(spec, (0,), share) for share in (0.5, 0.25))
    assert all(a != b for a, b in zip(usual, slower, strict=True))


CHECKS = [
    every_weight_moves,
    a_bad_step_changes_nothing,
    what_a_checkpoint_holds_goes_on_to_the_bit,
    its_numbers_count,
    the_rate_counts_for_every_weight,
]
