"""Scores: what each is a score of, and the table that holds them. Imports no torch."""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from functools import lru_cache
from typing import Annotated, Any, get_type_hints

from rope_dit.config import Neutral, neutral
from rope_dit.errors import UserError
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.registry import GUIDANCES, Part
from rope_dit.samplers.spec import SamplerSpec

NOTHING = "-"
"""stands where a field means nothing for a score, such as the time grid of a solver that has none"""


@dataclass(frozen=True, kw_only=True)
class ScoreKey:
    """What one score is a score of; comparable scores agree in all but arm, seed and what is studied.

    Attributes:
        arm: label, or the canonical spec of the variant.
        seed: training seed.
        train_step: step of the weights.
        sampler, guidance: canonical specs.
        nfe: network evaluations a picture.
        grid: name of the time grid.
        tokens: grid of tokens of the pictures, as `8x8`; `trained` for that of the training.
        extrapolation: how positions beyond the trained ones were made; `none`.
        classes: how classes were drawn; `data` for their share of the training pictures.
        ema: name of the averaged weights.
        extractor, metric: their names.
        n, n_real: generated and real pictures.
        sampling_seed: of noise and classes.

    Numbers are None, and texts '-', where they mean nothing.
    """

    arm: str
    seed: int
    train_step: int
    sampler: str
    guidance: str
    nfe: float | None
    grid: str
    tokens: Annotated[str, Neutral("trained")]
    extrapolation: Annotated[str, Neutral("none")]
    classes: Annotated[str, Neutral("data")]
    ema: str
    extractor: str
    metric: str
    n: int | None
    n_real: int | None
    sampling_seed: int | None


@dataclass(frozen=True, kw_only=True)
class Score:
    """One score.

    Attributes:
        key: what it is a score of.
        value: the score; `better` says whether 'lower' or 'higher' is better.
        real_floor: what real pictures would score.
        images_sha256, reference_sha256, extractor_sha256: of what it was made of.
        sampling_seconds: what the pictures took.
        time: seconds since 1970.
    """

    key: ScoreKey
    value: float
    better: str
    real_floor: float
    images_sha256: str
    reference_sha256: str
    extractor_sha256: str
    sampling_seconds: float
    time: float

    def row(self) -> dict[str, Any]:
        """The score as a row of the table."""
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "key"}
        return asdict(self.key) | rest


KEY_COLUMNS = tuple(f.name for f in fields(ScoreKey))
SCORE_COLUMNS = (*KEY_COLUMNS, *(f.name for f in fields(Score) if f.name != "key"))
_NUMBERS = {int: int, float: float, int | None: int, float | None: float}
_NEUTRAL = {name: before for name in KEY_COLUMNS if (before := neutral(ScoreKey, name)) is not MISSING}
_HINTS = get_type_hints(ScoreKey) | get_type_hints(Score)


def read_scores(text: str) -> list[Score]:
    """Read scores.csv; columns that it does not know have their neutral values.

    Raises ValueError or KeyError where it is damaged.
    """
    return [_score(row) for row in csv.DictReader(io.StringIO(text))]


def write_scores(scores: Iterable[Score]) -> str:
    """Write scores.csv; `read_scores` is the inverse."""
    text = io.StringIO()
    writer = csv.DictWriter(text, SCORE_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for score in scores:
        writer.writerow({name: NOTHING if v is None else v for name, v in score.row().items()})
    return text.getvalue()


def _score(row: Mapping[str, str]) -> Score:
    values = {name: _field(name, row) for name in SCORE_COLUMNS}
    key = ScoreKey(**{name: values.pop(name) for name in KEY_COLUMNS})
    return Score(key=key, **values)


def _field(name: str, row: Mapping[str, str]) -> Any:
    text = row.get(name)
    if text is None:
        return _NEUTRAL[name]
    if name in ("guidance", "grid") and text in ("", NOTHING):
        return NOTHING
    if name == "guidance":
        return guidance_text(text)
    if name == "sampler":
        return text if text == NOTHING else _sampler(text)
    hint = _HINTS[name]
    if text == NOTHING and hint in (int | None, float | None):
        return None
    return _NUMBERS.get(hint, str)(text)


@lru_cache(maxsize=1000)
def guidance_text(text: str) -> str:
    """A guidance with all its options; one of a plug-in that is not here as it stands.

    Raises UserError where it is no spec, or one that the guidance of that name does not take.
    """
    try:
        return str(GuidanceSpec.parse(text, stored=True))
    except UserError:
        if Part.parse(text).name in GUIDANCES.names():
            raise
        return text


@lru_cache(maxsize=1000)
def _sampler(text: str) -> str:
    """A sampler with all its options; one of a plug-in that is not here as it stands."""
    try:
        return str(SamplerSpec.parse(text, stored=True))
    except UserError:
        return text
