"""What a plug-in's item does wrong is found before a run's first step, and said in one line that names it."""

from pathlib import Path

import pytest
from broken_items import FEATURES, KINDS, Kind
from commands import SMOKE, call

from experiments.records.run_folder import RunFolder

RAISE, EXIT = 'raise RuntimeError("boom")', "import sys; sys.exit(0)"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(kind: Kind, body: str) -> str:
    """Run with such a plug-in, which must not train; the one line of the answer."""
    Path("plug").mkdir()
    Path("plug/mine.py").write_text(kind.text.replace("BODY", body))
    result = call("run", *SMOKE, *kind.args, "--plugins", "plug", "--out", "run")
    assert (result.code, result.out) == (2, ""), result
    assert not list(Path().glob("run/*.*")), "something was written"
    (line,) = result.err.splitlines()
    return line


def place(kind: Kind) -> str:
    """File and line of its method's body."""
    lines = kind.text.splitlines()
    return f"plug/mine.py:{next(i for i, line in enumerate(lines, 1) if 'BODY' in line)}"


def ids(value: object) -> str:
    return value.name if isinstance(value, Kind) else str(value)


@pytest.mark.parametrize("kind", KINDS, ids=ids)
def test_a_method_that_raises_is_named_with_its_line(kind):
    expected = f"error: {kind.name} 'mine' ({place(kind)}): RuntimeError: boom. Mend or remove the file."
    assert refused(kind, RAISE) == expected


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=ids)
def test_a_method_that_calls_exit_has_not_done_the_work(kind):
    expected = f"error: {kind.name} 'mine' ({place(kind)}): called sys.exit(0). Mend or remove the file."
    assert refused(kind, EXIT) == expected


RETURNS = [(kind, body) for kind in KINDS for body in kind.wrong]


@pytest.mark.parametrize(("kind", "body"), RETURNS, ids=ids)
def test_what_cannot_be_used_is_said_of_the_item_that_returned_it(kind, body):
    line = refused(kind, body)
    assert line.startswith(f"error: {kind.name} 'mine' (plug/mine.py): "), line
    assert line.endswith(". Mend or remove the file."), line


FIVE = (
    FEATURES.replace("dim=4", "dim=4, channels=(5,)")
    + """
import numpy as np
from experiments.config.registries import DATASETS
from experiments.datasets import Images


@DATASETS.register("five")
def five(argument, config):
    "Of five channels, which no picture file has."
    pixels, labels = np.arange(200 * 5 * 64, dtype=np.uint8).reshape(200, 5, 8, 8), np.zeros(200, np.int64)
    return Images(train=pixels[40:], train_labels=labels[40:], held_out=pixels[:40],
                  held_out_labels=labels[:40], classes=("all",), name="five")
"""
)


def test_pictures_that_no_file_can_hold_are_told_before_they_are_learned():
    body = "return x.flatten(1)[:, :4].float(), x.flatten(1)[:, :2].float()"
    five = Kind("dataset", FIVE, ("--data", "five", "--eval.extractor", "mine"), ())
    assert refused(five, body).startswith("error: dataset 'five' (plug/mine.py): TypeError: Cannot handle")


LATE = """
from rope_dit.pos_embed.base import PosEmbed
from rope_dit.registry import POS_EMBEDS


@POS_EMBEDS.register("mine")
class Mine(PosEmbed):
    "Fails in the middle of the training."
    calls = 0

    def add(self, site, x):
        Mine.calls += 1
        if Mine.calls > 60:
            BODY
        return x
"""


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (RAISE, "RuntimeError: boom"),
        pytest.param(EXIT, "called sys.exit(0)", marks=pytest.mark.slow),
        pytest.param("x = 1 / 0", "ZeroDivisionError", marks=pytest.mark.slow),
    ],
)
def test_one_that_fails_later_is_named_too_and_ends_the_run_so(body, says):
    Path("plug").mkdir()
    Path("plug/mine.py").write_text(LATE.replace("BODY", body))
    result = call("run", *SMOKE, "--probes", "none", "--variant", "mine", "--plugins", "plug", "--out", "run")
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert line.startswith(f"error: variant 'mine' (plug/mine.py:14): {says}"), line
    assert Path("run/metrics.jsonl").exists()
    ending = RunFolder(Path("run")).ending
    assert (ending.status, ending.outcome) == ("FAILED", "error")
    assert ending.message.endswith(line.removeprefix("error: "))
