"""The chain that seals a study: what was fixed before its first run, then each growth and each look.

A link holds the SHA-256 of the one before it: none can be changed, cut out or put in between without all that
follow being others. The chain lies in study.json, in the study's definition in the tracking store and, as far
as it went by then, in `seal.json` of every run folder: see `docs/seals.md`. Imports no torch.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from experiments.config.text import digest, from_json, to_json
from experiments.records.seal import sealed, unsealed
from rope_dit.durable import write_durably
from rope_dit.errors import UserError, check
from rope_dit.files import read_file
from rope_dit.words import differing

FILE = "seal.json"
PLANNED, GROWN, LOOK = "planned", "grown", "look"


@dataclass(frozen=True)
class Link:
    """One link.

    Args:
        kind: planned, which is the first; grown or look.
        time: seconds since 1970.
        says: what was fixed, what it grew to, or what was looked at, as text.
        before: SHA-256 of the link before it, '' where it is the first.
    """

    kind: str
    time: float
    says: Mapping[str, str]
    before: str

    @property
    def sha256(self) -> str:
        """SHA-256 of all of it, and so of all links before it too."""
        return digest(asdict(self))

    def __str__(self) -> str:
        said = ", ".join(f"{key} {text}" for key, text in self.says.items())
        return f"{self.kind} on {moment(self.time)} ({said})"


Chain = tuple[Link, ...]


def extended(chain: Chain, kind: str, says: Mapping[str, str], at: float) -> Chain:
    """A chain with one link more, of the time `at` in seconds since 1970."""
    return (*chain, Link(kind, at, dict(says), head(chain)))


def head(chain: Chain) -> str:
    """SHA-256 of the last link, which stands for the whole chain; '' where there is none."""
    return chain[-1].sha256 if chain else ""


def broken(chain: Chain) -> str:
    """Which link does not follow the one before it; '' where all do."""
    for i, link in enumerate(chain):
        if link.before != head(chain[:i]) or (link.kind == PLANNED) != (i == 0):
            return f"link {i + 1} of {len(chain)}, {link.kind}, does not follow the one before it"
    return ""


def state(chain: Chain) -> dict[str, str]:
    """What was fixed and what it has grown to: what all links but looks say, the later over the earlier."""
    return {key: text for link in chain if link.kind != LOOK for key, text in link.says.items()}


def foreign(there: Chain | None, chain: Chain) -> str:
    """Why a run is not a study's, in words; '' where the run's chain is a beginning of the study's.

    Args:
        there: the chain of the run, None where it has none.
        chain: of the study, () where it has none.
    """
    if there is None:
        return "begun outside of the study, which is sealed" if chain else ""
    common = next((i for i, pair in enumerate(zip(there, chain, strict=False)) if pair[0] != pair[1]), None)
    if common is None and len(there) <= len(chain):
        return ""
    if not chain:
        return f"begun under a plan that the study does not know: {there[0]}"
    if common == 0:
        apart = differing(there[0].says, chain[0].says, ("there", "here"))
        when = f"planned: there {moment(there[0].time)}, here {moment(chain[0].time)}"
        return f"begun under another plan: {'; '.join(apart or [when])}"
    return f"sealed by what the study lacks: {there[len(chain) if common is None else common]}"


def moment(seconds: float) -> str:
    """A time in words.

    >>> moment(1.8e9)
    '2027-01-15 08:00 UTC'
    """
    try:
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
    except (ValueError, OverflowError, OSError):  # what no clock shows, as a hand may write
        return f"{seconds:g} s since 1970"


@dataclass(frozen=True)
class _File:
    links: Chain

    def __post_init__(self) -> None:
        check(len(self.links) > 0, "links", "none", "at least one")


def write_chain(folder: Path, chain: Chain) -> None:
    """Write seal.json of a run's folder. Raises OSError."""
    write_durably(folder / FILE, json.dumps(sealed(to_json(_File(chain))), indent=1).encode())


def read_chain(folder: Path) -> Chain | None:
    """The chain in a run's folder, None where there is none. Raises UserError where it is damaged."""
    file = folder / FILE
    return chain_of(read_file(file), file) if file.is_file() else None


def chain_of(content: bytes, place: object) -> Chain:
    """The chain that the content of a seal.json holds. Raises UserError, which names its `place`."""
    try:
        read = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place} is damaged ({error!r}); restore it.") from None
    found, _ = unsealed(read, place, "restore it")
    try:
        return from_json(_File, found).links
    except UserError as error:
        raise UserError(f"{place} is damaged ({str(error).rstrip('.')}); restore it.") from None
