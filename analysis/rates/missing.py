"""What becomes of verdicts where seeds fail, and it is the worst that do."""

from collections.abc import Sequence

import numpy as np

from analysis.rates import after, before
from analysis.rates.draw import draw
from analysis.rates.table import SEED, Table
from analysis.stats import sign_flips
from analysis.stats.intervals import Array, Contrast, paired_contrast

UNIT = 2**0.5
MARGIN = 1.5 * UNIT


def missing(studies: int) -> Table:
    """The worst seeds of one arm, or of the baseline, fail."""
    rows = [
        [who, str(n), str(lost), *_rates(studies, n, lost, who == "baseline")]
        for who in ("arm", "baseline")
        for n in (3, 5, 7, 10)
        for lost in (1, 2)
        if n - lost > 1
    ]
    reading = (
        "Studies of four arms in which the worst seeds of one failed; before, these were only absent. "
        "Flattered: where no arm differs, the arm is called better (where the baseline lost seeds: any "
        "other is called worse). Equivalent: the arm is called so (any is) where it is worse by the "
        "margin, 1.5 standard deviations of a seed's difference (where the baseline is). Normal "
        "values, paired."
    )
    columns = ["flattered before", "flattered after", "equivalent before", "equivalent after"]
    return Table("Failed seeds", reading, ["of", "n", "failed", *columns], rows)


def _rates(studies: int, n: int, lost: int, reference: bool) -> list[float]:
    rates = []
    for apart in (0.0, MARGIN):
        truth = (-apart,) * 3 if reference else (apart, 0.0, 0.0)
        x = draw(SEED, studies, n, shared=0.0, truth=truth)  # so that what fails is bad luck of the arm
        own = slice(None) if reference else slice(0, 1)
        wrong = (1.0 if reference else -1.0) if apart == 0 else 0.0
        rates += [float((v[:, own] == wrong).any(-1).mean()) for v in judge_both(x, lost, reference)]
    return rates


def judge_both(x: Array, lost: int, reference: bool, margin: float = MARGIN) -> tuple[Array, Array]:
    """Verdicts [study, k - 1] before and after; the highest values of the first arm, or reference, fail."""
    contrast, flips, n = _survivors(x, lost, reference)
    verdict = after.called(contrast, flips, n, margin, 0.05).verdict
    return before.called(contrast, margin, 0.05), withheld(verdict, reference)


def withheld(verdict: Array, reference: bool) -> Array:
    """Verdicts without those that `compare` withholds if the first arm, or the reference, lost seeds."""
    flattered = verdict == (1 if reference else -1)
    taken = flattered | (verdict == 0)
    if not reference:
        taken[:, 1:] = False
    return np.where(taken, np.nan, verdict)


def _survivors(x: Array, lost: int, reference: bool) -> tuple[Contrast, Array, Array]:
    """Contrasts and sign flips [study, k - 1] of the seeds that are left, and how many those are [k - 1]."""
    arms = np.moveaxis(x, 1, -1)
    left = x.shape[1] - lost
    worst = arms[:, 0 if reference else 1].argsort(-1)[:, None, :left]
    cut = [reference or i == 0 for i in range(arms.shape[1] - 1)]
    pairs = [arms[:, [i + 1, 0]] for i in range(len(cut))]
    pairs = [
        np.take_along_axis(pair, worst, -1) if less else pair for pair, less in zip(pairs, cut, strict=True)
    ]
    contrast = _beside([paired_contrast(pair[:, 0], pair[:, 1]) for pair in pairs])
    flips = np.stack([sign_flips.sign_flip_ps(pair[:, 0] - pair[:, 1]) for pair in pairs], -1)
    return contrast, flips, np.array([pair.shape[-1] for pair in pairs])


def _beside(contrasts: Sequence[Contrast]) -> Contrast:
    """Contrasts of [study] as one of [study, k - 1]."""
    shape = contrasts[0].difference.shape
    return Contrast(
        **{
            name: np.stack([np.broadcast_to(getattr(c, name), shape) for c in contrasts], -1)
            for name in vars(contrasts[0])
        }
    )
