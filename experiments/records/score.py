"""Scores: what each is a score of, and the table that holds them. Imports no torch."""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from functools import lru_cache
from typing import Annotated, Any, get_type_hints

from experiments.config.run import MOST_SAMPLINGS as MOST_SAMPLINGS  # for those who read records alone
from experiments.config.text import NOTHING as NOTHING
from experiments.config.text import digest
from rope_dit.config import Neutral, neutral
from rope_dit.errors import UserError
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.registry import EXTRAPOLATIONS, GUIDANCES, Part
from rope_dit.samplers.spec import SamplerSpec

TRAINED = "trained"
"""the grid of tokens that the network was trained on"""


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
        extrapolation: what was done about places beyond the trained ones, a canonical spec; `none`.
        classes: how classes were drawn, see `eval.classes`.
        ema: name of the averaged weights.
        extractor, metric: their names; '-' is the extractor of what is measured on pixels.
        n, n_real: generated and real pictures.
        sampling_seed: of noise and classes, see `sampling_seed`.

    Numbers are None, and texts '-', where they mean nothing.
    """

    arm: str
    seed: int
    train_step: int
    sampler: str
    guidance: str
    nfe: float | None
    grid: str
    tokens: Annotated[str, Neutral(TRAINED)]
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
        real_floor: what real pictures would score; None where it was not measured or has no meaning.
        floor_n: how many held-out pictures the floor is of; None where that was not written down.
        untrained: what pictures of a network that has learned nothing score; None where it was not measured.
        held_out, held_out_floor: value and real floor against held-out pictures instead of training pictures:
            what training pictures score against those; None where it was not measured.
        images_sha256, reference_sha256, extractor_sha256: of what it was made of.
        sampling_seconds: what the pictures took.
        time: seconds since 1970.
    """

    key: ScoreKey
    value: float
    better: str
    real_floor: float | None
    floor_n: Annotated[int | None, Neutral(None)] = None
    untrained: Annotated[float | None, Neutral(None)] = None
    held_out: Annotated[float | None, Neutral(None)] = None
    held_out_floor: Annotated[float | None, Neutral(None)] = None
    images_sha256: str
    reference_sha256: str
    extractor_sha256: str
    sampling_seconds: float
    time: float

    def row(self) -> dict[str, Any]:
        """The score as a row of the table."""
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "key"}
        return asdict(self.key) | rest


def sampling_seed(seed: int, index: int) -> int:
    """Seed of the noise and classes with which a network is scored: equal across arms, another for each seed.

    More training seeds so average what evaluation noise adds. Below 2^63, as all seeds are.

    Args:
        seed: training seed of the network; seeds 2^63 // 1000 apart share theirs.
        index: which of the network's samplings, from 0 to 999.

    >>> sampling_seed(3, 1), sampling_index(3001)
    (3001, 1)
    """
    assert 0 <= index < MOST_SAMPLINGS, f"sampling {index} of a network has no seed"
    return seed % (2**63 // MOST_SAMPLINGS) * MOST_SAMPLINGS + index


def sampling_index(sampling_seed: int) -> int:
    """Which of a network's samplings has this seed, whether noise is fixed or not."""
    return sampling_seed % MOST_SAMPLINGS


def sampling_seeds(seed: int, count: int, *, fixed: bool) -> range:
    """Seeds of the first `count` samplings of a network; where noise is `fixed`, those of training seed 0."""
    first = sampling_seed(0 if fixed else seed, 0)
    return range(first, first + count)


def larger_name(tokens: str, extrapolation: str) -> str:
    """What names of files and scores hold for another grid of tokens than the trained one.

    Raises UserError for an extrapolation of a plug-in that is not here.

    >>> larger_name("12x12", "none"), larger_name("12x12", "pi:axes=joint"), larger_name(TRAINED, "none")
    ('-12x12', '-12x12-pi-axesjoint', '')
    """
    if tokens == TRAINED:
        return ""
    return f"-{tokens}" if extrapolation == "none" else f"-{tokens}-{EXTRAPOLATIONS.slug(extrapolation)}"


KEY_COLUMNS = tuple(f.name for f in fields(ScoreKey))
SCORE_COLUMNS = (*KEY_COLUMNS, *(f.name for f in fields(Score) if f.name != "key"))
SEAL = "sha256"
"""column that says in every row the SHA-256 of the run's id and of all else in the table"""
_NUMBERS = {int: int, float: float, int | None: int, float | None: float}
_NEUTRAL = {
    name: before
    for kind, name in ((ScoreKey if name in KEY_COLUMNS else Score, name) for name in SCORE_COLUMNS)
    if (before := neutral(kind, name)) is not MISSING
}
_HINTS = get_type_hints(ScoreKey) | get_type_hints(Score)


def read_scores(text: str, run_id: str) -> list[Score]:
    """Read the scores.csv of a run; columns that it does not know have their neutral values.

    Tables of earlier versions have no SHA-256, and are taken as they are (`is_sealed`).

    Raises ValueError, which says what is the matter, where it is damaged or not what this run wrote.
    """
    columns, rows = _table(text)
    if SEAL in columns:
        place = columns.index(SEAL)
        seals = {line.pop(place) for line in (columns, *rows)} - {SEAL}
        if seals != {_seal(run_id, columns, rows)}:
            raise ValueError("it was changed after it was written or is another run's, as its SHA-256 says")
    elif not text.endswith("\n"):
        raise ValueError("its last row is cut")
    return [_score(i, dict(zip(columns, row, strict=True))) for i, row in enumerate(rows, 1)]


def is_sealed(text: str) -> bool:
    """Whether a table tells if it was changed."""
    return SEAL in _table(text)[0]


def write_scores(scores: Iterable[Score], run_id: str) -> str:
    """Write the scores.csv of a run; `read_scores` is the inverse."""
    columns = list(SCORE_COLUMNS)
    rows = [[NOTHING if v is None else str(v) for v in score.row().values()] for score in scores]
    seal = _seal(run_id, columns, rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([[*columns, SEAL], *([*row, seal] for row in rows)])
    return text.getvalue()


def _seal(run_id: str, columns: list[str], rows: list[list[str]]) -> str:
    """SHA-256 of all that a run's table says."""
    return digest([run_id, columns, rows])


def _table(text: str) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of a table that is whole. Raises ValueError."""
    if text.startswith("\ufeff"):
        raise ValueError("it begins with a byte order mark, as another program saved it")
    if "\0" in text:
        raise ValueError("it holds NUL characters")
    try:
        columns, *rows = [row for row in csv.reader(io.StringIO(text), strict=True) if row] or [[]]
    except csv.Error as error:
        raise ValueError(str(error)) from None
    if not rows:
        raise ValueError("it has no rows")
    if lacking := [name for name in SCORE_COLUMNS if name not in columns and name not in _NEUTRAL]:
        raise ValueError(f"it has no column {lacking[0]}")
    if len({*columns}) < len(columns):
        raise ValueError("it has a column twice")
    for i, row in enumerate(rows, 1):
        if len(row) != len(columns):
            raise ValueError(f"row {i} has {len(row)} of {len(columns)} fields")
    return columns, rows


def _score(number: int, row: Mapping[str, str]) -> Score:
    try:
        values = {name: _field(name, row) for name in SCORE_COLUMNS}
    except ValueError as error:
        raise ValueError(f"row {number}: {error}") from None
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
