"""The made-up study with more: measurements of spatial consistency, guidances, attention. Nothing random."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd

from analysis.figures.base import Material, Seen
from analysis.figures.examples.study import ARMS, example
from experiments.records.score import NOTHING

BETTER = {"layout_accuracy": 0.5, "layout_found": 0.8}
"""metrics of which higher is better, and what learned positions get"""
WORSE = {"seam": 0.2, "shift_error_interior": 0.3, "shift_error_border": 0.5, "held_out_loss": 0.4}
"""metrics of which lower is better"""
_OF_PICTURES = ("layout_accuracy", "layout_found", "seam")
_GRIDS = (("12x12", "none"), ("12x12", "pi"), ("8x16", "pi"))
_WEIGHTS = ("1", "2", "4")
_TOKENS, _LAYERS, _HEADS = 5, 3, 2


def example_evidence(arms: Sequence[str] = ARMS, seeds: int = 4, samplings: int = 2) -> Material:
    """A study in which 2D RoPE lays objects out better, has an equal loss, and a worse seam.

    Args:
        arms: the first is the baseline.
        seeds: of each arm.
        samplings: of each network.
    """
    made = example(arms, seeds)
    study = made.study
    definition, end = study.definition, study.definition.endpoint
    scores = study.scores[study.scores["n"] == end.n]
    again = [scores.assign(sampling_seed=scores["sampling_seed"] + i) for i in range(1, samplings)]
    several = pd.concat([study.scores, *again], ignore_index=True)
    last = several[(several["sampler"] == end.sampler) & (several["n"] == end.n)]
    parts = [several, *measured(last), *guided(last)]
    guidances = tuple(f"cfg:begin=0,end=1,weight={weight}" for weight in _WEIGHTS)
    definition = replace(
        definition,
        endpoint=replace(end, samplings=samplings),
        guidances=guidances,
        best_guidance=tuple((guidance, end.ema) for guidance in guidances) if samplings > 1 else (),
    )
    study = replace(study, definition=definition, scores=pd.concat(parts, ignore_index=True))
    return replace(made, study=study, attention={arm: _seen(i) for i, arm in enumerate(arms)})


def measured(last: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Rows of all measurements, made of those at the endpoint."""
    shift = _wave(last) + 0.08 * (last["arm"] == "rope2d")
    networks = last.drop_duplicates("run_id")
    for metric, level in (BETTER | WORSE).items():
        own = last if metric in _OF_PICTURES else networks
        wave = _wave(own) if metric == "held_out_loss" else shift[own.index]
        rows = own.assign(
            metric=metric, extractor=NOTHING, extractor_sha256=NOTHING, reference_sha256=NOTHING,
            real_floor=np.nan, untrained=np.nan, value=level + wave,
            better="higher" if metric in BETTER else "lower",
        )  # fmt: skip
        if metric in _OF_PICTURES:
            yield rows
            first = rows.drop_duplicates("run_id")
            for tokens, extrapolation in _GRIDS:
                yield first.assign(tokens=tokens, extrapolation=extrapolation, value=first["value"] - 0.05)
        else:
            velocity = rows.assign(
                sampler=NOTHING, guidance=NOTHING, grid=NOTHING, classes=NOTHING, images_sha256=NOTHING,
                sampling_seconds=0.0,
            )  # fmt: skip
            yield velocity
            for i in range(10 if metric == "held_out_loss" else 0):
                tenth = velocity["value"] + (i - 4.5) ** 2 / 40 + 0.002 * i * (velocity["arm"] == "none")
                yield velocity.assign(metric=f"{metric}_t{i}", value=tenth)


def guided(last: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Rows under guidance, best at the second weight."""
    for place, weight in enumerate(_WEIGHTS[1:]):
        better = last["value"] - 2 + 3 * place + 0.3 * (last["sampling_seed"] % 2)
        guidance = f"cfg:begin=0,end=1,weight={weight}"
        yield last.assign(guidance=guidance, nfe=2 * last["nfe"], value=better)


def _wave(rows: pd.DataFrame) -> "pd.Series[float]":
    """A small effect of seed and arm."""
    lengths = rows["arm"].str.len()
    wave: pd.Series[float] = 0.01 * np.sin(2.0 * rows["seed"]) + 0.004 * np.cos(3.0 * rows["seed"] + lengths)
    return wave


def _seen(place: int) -> Seen:
    """Heads that look further in later layers, and maps around the middle."""
    heads = [
        {"layer": layer, "head": head, "distance": 1 + 0.3 * layer + 0.1 * head + 0.2 * place,
         "entropy": 1.0, "share": 0.9 - 0.1 * layer + 0.02 * place + 0.03 * head}
        for layer, head in product(range(_LAYERS), range(_HEADS))
    ]  # fmt: skip
    middle, places = _TOKENS // 2, range(_TOKENS)
    maps = [
        {"layer": layer, "head": head, "query": "centre", "row": row, "column": column,
         "share": float(np.exp(-((row - middle) ** 2 + (column - middle) ** 2) / (1 + layer + place)))}
        for layer, head, row, column in product(range(_LAYERS), range(_HEADS), places, places)
    ]  # fmt: skip
    return pd.DataFrame(heads), pd.DataFrame(maps)
