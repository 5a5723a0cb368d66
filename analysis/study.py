"""A study as the tracking store has it: its definition, what became of its cells, the scores to compare."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from analysis import load
from analysis.accepted import accepted
from analysis.reading import seals, store
from experiments.cli.commands import python
from experiments.records.definition import Definition, is_whole, read_definition
from experiments.records.plausible import doubts
from experiments.records.score import KEY_COLUMNS, NOTHING, SCORE_COLUMNS
from rope_dit.errors import UserError
from rope_dit.words import listed

SOURCE = ["extractor_sha256", "reference_sha256", "n_real"]  # scores compare where these agree
_POINT = [  # what was scored
    *("sampler", "guidance", "tokens", "extrapolation", "classes", "n", "sampling_seed"),
    *("ema", "extractor", "metric"),
]
_LARGEST = 1e60  # whose fourth power is a number, as the variance of a variance needs
_SHARED = {  # what paired runs have in common: the tag that says it, and words for it
    "inputs": ("inputs_sha256", "training inputs"),
    "weights": ("shared_weights_sha256", "shared initial weights"),
}

_NETWORK = [  # what the samplings of one network under one sampler share
    *("run_id", *(name for name in KEY_COLUMNS if name not in ("nfe", "n_real", "sampling_seed"))),
    *("better", *SOURCE),
]
_MEANS = (  # of samplings
    *("value", "real_floor", "untrained", "held_out", "held_out_floor", "nfe", "sampling_seconds"),
)


@dataclass(frozen=True)
class Study:
    """What a report is made of.

    Attributes:
        definition: see `experiments.records.definition`.
        runs: the newest run of each cell, with the columns of `load.runs`.
        scores: scores of those runs, with the columns of `load.scores`.
        cells: one row an arm and seed: arm, seed, state (done, running, failed, diverged or missing),
            message (why it is not done, '' where it is), run_id ('' where it has none).
        others: runs of the experiment that are not used; as `runs`, with a column `why`.
        doubted: scores of those runs that their metrics cannot have given, which are not in `scores`; why.
        unsealed: how many of those runs have a table of scores that cannot tell if it was changed.
        withheld: why no verdict is drawn from the study, '' where one is.
        elsewhere: a sentence for each other study of the store that has the same runs.
    """

    definition: Definition
    runs: pd.DataFrame
    scores: pd.DataFrame
    cells: pd.DataFrame
    others: pd.DataFrame
    doubted: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=["run_id", *SCORE_COLUMNS, "why"])
    )
    unsealed: int = 0
    withheld: str = ""
    elsewhere: Sequence[str] = ()

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.definition.name

    @property
    def arms(self) -> list[str]:
        """Labels of the arms, in the study's order."""
        return [arm.label for arm in self.definition.arms]

    @property
    def partial(self) -> bool:
        """Whether a cell still has to begin or to go on; then nothing is concluded."""
        return not is_whole(self.cells["state"])

    @property
    def scored(self) -> int:
        """Cells whose run ended with a score at the endpoint, be it one that is left out: as looks count."""
        ended = self.runs.loc[self.runs["outcome"].isin(["finished", "paused"]), "run_id"]
        tables = (endpoint_rows(table, self.definition) for table in (self.scores, self.doubted))
        return len({*ended} & {run_id for rows in tables for run_id in rows["run_id"]})

    @property
    def diverged(self) -> dict[str, int]:
        """Number of diverged seeds of each arm that has one."""
        lost = self.cells[self.cells["state"] == "diverged"]
        return {str(arm): int(count) for arm, count in lost["arm"].value_counts().items()}

    @property
    def lost(self) -> dict[str, dict[str, int]]:
        """Of each arm that lacks some, the seeds without a value by state: diverged, failed or missing."""
        gone = self.cells[self.cells["state"].isin(["diverged", "failed", "missing"])]
        return {
            str(arm): {str(state): int(count) for state, count in states.value_counts().items()}
            for arm, states in gone.groupby("arm", sort=False)["state"]
        }

    def endpoint(self) -> pd.DataFrame:
        """The primary endpoint: arm, seed, value, real_floor, untrained; only of scores that compare.

        A value is the mean over the endpoint's samplings of one network; one that lacks any has no row, nor
        has one whose run failed or diverged, even if it was scored before.
        """
        rows = endpoint_scores(self.scores, self.definition)
        ended_badly = self.cells["state"].isin(["failed", "diverged"])
        rows = rows[~rows["run_id"].isin(self.cells.loc[ended_badly, "run_id"])]
        return in_order(rows, self.arms)[["arm", "seed", "value", "real_floor", "untrained"]]

    @property
    def pairing(self) -> pd.DataFrame:
        """One row a comparison and seed with runs of both: arm, reference, seed, inputs, weights (alike?)."""
        rows = [
            {"arm": arm, "reference": reference, "seed": seed, **alike}
            for arm, reference in self.definition.comparisons
            for seed, alike in self._alike(arm, reference).items()
        ]
        return pd.DataFrame(rows, columns=["arm", "reference", "seed", *_SHARED])

    def is_paired(self, arm: str, reference: str) -> bool:
        """Whether both saw the same inputs and began with the same shared weights in every seed of both."""
        common = self._alike(arm, reference)
        return len(common) > 0 and all(all(alike.values()) for alike in common.values())

    def pairing_reason(self, arm: str, reference: str) -> str:
        """Why two arms are paired, or why not."""
        if not (common := self._alike(arm, reference)):
            return "no seed has runs of both"
        apart = {what: [str(seed) for seed, alike in common.items() if not alike[what]] for what in _SHARED}
        said = [
            f"{words} differ in seed{'s' if len(apart[what]) > 1 else ''} {listed(apart[what])}"
            for what, (_, words) in _SHARED.items()
            if apart[what]
        ]
        return (
            "; ".join(said) or "in every seed both saw the same inputs and began with the same shared weights"
        )

    def _alike(self, arm: str, reference: str) -> dict[int, dict[str, bool]]:
        """By seed with runs of both: whether they agree in what paired runs share; unknown is no."""
        one, other = (self.runs[self.runs["arm"] == label].set_index("seed") for label in (arm, reference))
        return {
            int(seed): {
                what: bool(one.loc[seed, tag]) and one.loc[seed, tag] == other.loc[seed, tag]
                for what, (tag, _) in _SHARED.items()
            }
            for seed in sorted({*one.index} & {*other.index})
        }

    @cached_property
    def same_models(self) -> list[frozenset[str]]:
        """Pairs of arms whose pictures agree to the bit in all that both were scored on at the last step."""
        scores = self.scores[self.scores["images_sha256"] != NOTHING]  # those of pictures
        last = scores[scores["train_step"] == self.definition.endpoint.train_step]
        table = last.set_index(["arm", "seed", *_POINT])["images_sha256"].unstack("arm")
        found = []
        for a, b in itertools.combinations([arm for arm in self.arms if arm in table], 2):
            both = table[[a, b]].dropna()
            if len(both) and bool((both[a] == both[b]).all()):
                found.append(frozenset((a, b)))
        return found


def load_study(name: str, uri: str | None = None) -> Study:
    """Read a study out of the tracking store.

    Args:
        name: of the study, which is that of its MLflow experiment.
        uri: the store; by default MLFLOW_TRACKING_URI or mlflow.db in the current folder.

    Raises:
        UserError: the store cannot be read, there is no such study, it has no runs, or nothing is compared
            in it: a plain experiment, or one that tunes.
    """
    runs = load.runs(name, uri)
    with store.reading(uri) as client:
        definition = read_definition(client, name)
        foreign = seals.foreign(client, definition, runs) if definition else {}
        elsewhere = seals.elsewhere(client, definition, runs) if definition else []
    if definition is None:
        raise UserError(
            f"experiment '{name}' has runs but is no study: no arms, seeds and endpoint are fixed. Make one:",
            [python("experiments.study", "--name", f"{name}-study", "--variants", "learned", "rope2d")],
        )
    if not definition.comparisons and definition.kind == "tune":
        raise UserError(
            f"study '{name}' tunes settings and compares nothing; its report is that of the confirmation:",
            [python("experiments.study", "ablate", "--from-tuned", name)],
        )
    current, others = accepted(runs, definition, uri, foreign)
    current = in_order(current, [arm.label for arm in definition.arms])
    scores = load.scores(name, uri)
    unsealed = len({*scores.attrs["unsealed"]} & {*current["run_id"]})
    scores = scores[scores["run_id"].isin(current["run_id"])].reset_index(drop=True)
    _check_sizes(scores)
    scores = scores.assign(why=doubts(scores[["metric", "extractor", "value"]].itertuples(index=False)))
    believed, doubted = scores["why"] == "", scores[scores["why"] != ""].reset_index(drop=True)
    scores = scores[believed].drop(columns="why").reset_index(drop=True)
    columns = ["arm", "seed", "state", "message", "run_id"]
    cells = pd.DataFrame(_cells(current, others, scores, doubted, definition), columns=columns)
    withheld = seals.withheld(definition)
    return Study(definition, current, scores, cells, others, doubted, unsealed, withheld, elsewhere)


def _check_sizes(scores: pd.DataFrame) -> None:
    """Refuse numbers that overflow: no mean, difference or interval of them could be had."""
    for name in scores.select_dtypes("float64").columns:
        large = scores[(scores[name].abs() > _LARGEST) & (scores[name].abs() < math.inf)]
        for row in large.to_dict("records"):
            raise UserError(
                f"run {row['run_id']} ({row['arm']}, seed {row['seed']}): {name} of {row['metric']} got "
                f"{row[str(name)]:g}, expected at most {_LARGEST:g}; move its run folder away and train it "
                "again."
            )


def endpoint_rows(
    scores: pd.DataFrame, definition: Definition, *free: str, samplings: int = 0
) -> pd.DataFrame:
    """Rows of `scores` that agree with the primary endpoint in all its fields but those named in `free`.

    They are of the first so many `samplings` of each network, by default of those that the endpoint averages.
    """
    rows, end = scores, definition.endpoint
    for name, wanted in end.fields().items():
        if name not in free:
            rows = rows[rows[name] == wanted]
    first = {seed: end.sampling_seeds(seed).start for seed in definition.seeds}
    index = rows["sampling_seed"] - rows["seed"].map(first)
    return rows[index.between(0, (samplings or end.samplings) - 1)]


def endpoint_scores(
    scores: pd.DataFrame, definition: Definition, *free: str, samplings: int = 0
) -> pd.DataFrame:
    """Means over the samplings of each network, of those rows of `endpoint_rows` that compare."""
    rows = comparable(endpoint_rows(scores, definition, *free, samplings=samplings))
    return averaged(rows, samplings or definition.endpoint.samplings)


def averaged(rows: pd.DataFrame, samplings: int) -> pd.DataFrame:
    """One row a network and what it was scored under: means over its samplings; none where it lacks one.

    Args:
        rows: of `load.scores`, of so many `samplings` at most.
        samplings: that a row takes.

    Returns:
        The columns of `load.scores` without sampling_seed and images_sha256; time is that of the last.
    """
    means = {name: (name, "mean") for name in _MEANS}
    groups = rows.groupby(_NETWORK, sort=False, dropna=False)
    found = groups.agg(**means, time=("time", "max"), samplings=("sampling_seed", "nunique")).reset_index()
    return found[found["samplings"] == samplings].drop(columns="samplings").reset_index(drop=True)


def in_order(rows: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    """Sort rows by the arms' order in the study, then by seed."""
    place = {arm: i for i, arm in enumerate(arms)}
    keys = pd.DataFrame({"place": rows["arm"].map(place), "seed": rows["seed"]})
    return rows.loc[keys.sort_values(["place", "seed"], kind="stable").index].reset_index(drop=True)


def comparable(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the source that most runs were scored with, for each extractor; the others are not compared."""
    usual = pd.Series(False, index=rows.index)
    for _, own in rows.groupby("extractor", sort=False):
        sizes = own.groupby(SOURCE, dropna=False)["run_id"].transform("nunique")  # pixels have no reference
        first = own[sizes == sizes.max()].iloc[0]
        usual |= (rows["extractor"] == first["extractor"]) & _equal(rows[SOURCE], first[SOURCE])
    return rows[usual]


def _equal(rows: pd.DataFrame, one: pd.Series) -> "pd.Series[bool]":
    """Which rows have the values of one; what is not there is equal to itself."""
    same = pd.Series(True, index=rows.index)
    for name, value in one.items():
        own = rows[str(name)]
        same &= own.isna() if pd.isna(value) else own.eq(value).fillna(False).astype(bool)
    return same


def _cells(
    runs: pd.DataFrame,
    others: pd.DataFrame,
    scores: pd.DataFrame,
    doubted: pd.DataFrame,
    definition: Definition,
) -> Iterator[tuple[Any, ...]]:
    scored = endpoint_rows(scores, definition)
    wrong = endpoint_rows(doubted, definition)
    reasons = {row.run_id: f"{row.metric} {row.why}" for row in wrong.itertuples()}
    samplings = definition.endpoint.samplings
    usable, complete = (set(averaged(rows, samplings)["run_id"]) for rows in (comparable(scored), scored))
    by_cell = {(run["arm"], run["seed"]): run for run in runs.to_dict("records")}
    refused = {(run["arm"], run["seed"]): f"; run {run['run_id']} is not its own: {run['why']}"
               for run in others.sort_values("started").to_dict("records")}  # fmt: skip
    cells = itertools.product([arm.label for arm in definition.arms], definition.seeds)
    for arm, seed in cells:
        run = by_cell.get((arm, seed))
        if run is None:
            yield arm, seed, "missing", f"not begun{refused.get((arm, seed), '')}", ""
            continue
        state, message = _state(run, run["run_id"] in usable, run["run_id"] in complete)
        if state == "missing" and run["run_id"] in reasons:
            state, message = "failed", reasons[run["run_id"]]
        yield arm, seed, state, message, run["run_id"]


def _state(run: Mapping[Any, Any], usable: bool, scored: bool) -> tuple[str, str]:
    """State of a cell that has a run, and why it is not done."""
    if run["outcome"] == "diverged":
        return "diverged", run["message"] or "the training diverged"
    if run["status"] == "RUNNING":
        return "running", "at work"
    if run["outcome"] == "error":
        return "failed", run["message"] or "ended with an error; its log is in the study's folder"
    if run["status"] != "FINISHED":
        return "missing", f"{run['outcome'] or 'ended'} before its end; the study's command goes on with it"
    if usable:
        return "done", ""
    if scored:
        return "failed", "scored with another extractor or against other pictures than most runs"
    return "missing", "ended without a score at the primary endpoint"
