"""Whether a study is still what was sealed before its first run, and which runs and studies speak against it.

`experiments.records.sealing.chain` says what a chain is, and `docs/seals.md` what it proves.
"""

from typing import Any

import pandas as pd

from analysis.reading import artifacts
from analysis.reading.store import find_runs
from experiments.cli.main import one_line
from experiments.records.definition import Definition, is_study, read_definition
from experiments.records.sealing import chain as chains
from experiments.records.sealing.chain import chain_of
from experiments.records.sealing.fields import unlike_its_chain
from rope_dit.errors import UserError
from rope_dit.words import listed

SKEW_SECONDS = 600.0
"""by which the clocks of two machines may differ: a run that began earlier began before its plan was made"""


def withheld(definition: Definition) -> str:
    """Why no verdict is drawn from a study: it is not what its chain says; '' where it is, or has none."""
    if not definition.chain:
        return ""
    if wrong := chains.broken(definition.chain):
        return f"the study's seal is broken: {wrong}"
    if wrong := "; ".join(unlike_its_chain(definition)):
        return f"the study is not what was sealed: {wrong}"
    return ""


def words(definition: Definition) -> str:
    """Since when the study is sealed, and the head of its chain."""
    chain = definition.chain
    if not chain:
        return "not sealed: the study was begun by a version without seals"
    begun = f"planned {chains.moment(chain[0].time)}, before the first run"
    return f"{begun}; {len(chain)} links, head {chains.head(chain)[:12]}"


def foreign(client: Any, definition: Definition, runs: pd.DataFrame) -> dict[str, str]:
    """Why runs of the experiment are none of the study's, by run id.

    Args:
        client: of the store.
        definition: of the study.
        runs: all of the experiment, as `load.runs` gives them.

    Raises what MLflow's client raises.
    """
    read = artifacts.read(client, find_runs(client, definition.name), chains.FILE)
    seals = {run.info.run_id: content for run, content in read}
    found = {}
    for run in runs.to_dict("records"):
        content = seals.get(run["run_id"])
        try:
            why = chains.foreign(
                None if content is None else chain_of(content, chains.FILE), definition.chain
            )
        except UserError as error:
            why = str(error).rstrip(".")
        if (
            not why
            and definition.chain
            and run["started"].timestamp() < definition.chain[0].time - SKEW_SECONDS
        ):
            why = f"begun {run['started']:%Y-%m-%d %H:%M} UTC, before the study was planned"
        if why:
            found[str(run["run_id"])] = one_line(why, 1000)
    return found


def elsewhere(client: Any, definition: Definition, runs: pd.DataFrame) -> list[str]:
    """A sentence for each other study of the store with runs of the same arms and seeds.

    The first seed of each arm is looked for. Raises what MLflow's client raises.
    """
    studies = {
        other.experiment_id: other.name
        for other in client.search_experiments()
        if is_study(other) and other.name != definition.name
    }
    if not studies:
        return []
    first = runs[(runs["seed"] == definition.seeds[0]) & (runs["fingerprint"] != "")]
    same: dict[str, list[str]] = {}
    for arm, fingerprint in zip(first["arm"], first["fingerprint"], strict=True):
        for run in client.search_runs(list(studies), f"tags.fingerprint = '{fingerprint}'"):
            same.setdefault(studies[run.info.experiment_id], []).append(arm)
    return [_sentence(name, arms, read_definition(client, name)) for name, arms in sorted(same.items())]


def _sentence(name: str, arms: list[str], other: Definition | None) -> str:
    assert other is not None, "only of studies"
    planned = f"{other.planned_seeds} seeds planned, looks: {len(other.looks)}, margin {other.margin_text}"
    return (
        f"Study {name} of this store has runs of the same settings and seeds ({listed(dict.fromkeys(arms))}; "
        f"{planned}). A verdict that was chosen among several is less sure than its p says."
    )
