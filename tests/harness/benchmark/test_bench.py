"""The benchmark runs and prints what it promises. Its figures are not tested: they are the machine's."""

import re

import pytest

from experiments.bench import BenchConfig, bench
from rope_dit.errors import UserError


@pytest.mark.slow
def test_the_table_has_every_line():
    text = bench(BenchConfig(preset="smoke", rounds=1, steps=2))
    for line in ("training step", "training in the harness", "saving a checkpoint", "plain eager DiT, fp32",
                 "plain eager DiT, bf16", "sampling, one evaluation", "scoring, features"):  # fmt: skip
        assert re.search(rf"^{line} +\d", text, re.M), line
    assert re.search(r"plain eager DiT: +\d+\.\d{3} \(", text)
    assert re.search(r"bare loop: +\d+\.\d{3} \(", text)
    assert re.search(r"outside loss and backward, uncompiled: \d+\.\d$", text)
    assert re.search(r"\d+ GFLOP/s fp32, \d+ GFLOP/s bf16", text)


def test_bad_input():
    with pytest.raises(UserError, match="Did you mean 'cifar10'"):
        BenchConfig(preset="cifar1")
    with pytest.raises(UserError, match="rounds"):
        BenchConfig(rounds=0)
