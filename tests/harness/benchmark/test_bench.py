"""The benchmark runs and prints what it promises. Its figures are not tested: they are the machine's."""

import csv
import re
from pathlib import Path

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


def test_variants_stand_beside_the_first(tmp_path, capsys):
    file = tmp_path / "costs.csv"
    wanted = BenchConfig(preset="smoke", variants=("none", "learned"), rounds=2, steps=1, out=file)
    text = bench(wanted)
    none, learned = (line.split() for line in text.splitlines()[-2:])
    assert (none[0], none[1], none[3:6]) == ("none", "0", ["1.000"] * 3)
    assert (learned[0], learned[1]) == ("learned:std=0.02", "256")
    assert float(learned[4]) <= float(learned[3]) <= float(learned[5])
    with file.open() as opened:
        rows = list(csv.DictReader(opened))
    assert [row["variant"] for row in rows] == ["none", "learned:std=0.02"]
    assert rows[1]["ratio"] == learned[3]
    assert "2 rounds of 1 steps" in rows[0]["timed"]


def test_bad_input():
    with pytest.raises(UserError, match="--variants beside it"):
        BenchConfig(out=Path("costs.csv"))
    with pytest.raises(UserError, match="Did you mean 'cifar10'"):
        BenchConfig(preset="cifar1")
    with pytest.raises(UserError, match="rounds"):
        BenchConfig(rounds=0)
