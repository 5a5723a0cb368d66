"""The page of variants: what each is, does to attention, and costs."""

from experiments.documents.pictures import Picture, of_similarity
from experiments.documents.similarity import CENTRE, CONTENTS, CORNER, PRESET, built, similarity
from experiments.documents.words import MADE, cell, claims, linked, section, shipped, table
from rope_dit.registry import Entry

FOLDER = "variants"
HEAD = f"""{MADE}

# Variants

Positional embeddings. A run names one as its variant, with options, or several joined by `+`:
`learned+rope2d:theta=50`.

Each picture shows the logits of the first block between a token and all others where all tokens have the same
content: what position alone does to attention. Above it is the token at the centre, below that in the corner
(rings). The network is that of the `{PRESET}` preset (8x8 tokens, 8 heads) as it starts: what is learned
stands at its first values. Queries and keys are the normalised tokens themselves; logits are means over
{CONTENTS} random contents, equal in all heads, and their negatives. The mean over all tokens is taken away,
which a softmax does not see. Heads are shown one by one where they differ. All panels of a variant share one
scale, which reaches to 1 at least, so that next to nothing looks like it."""


def pictures() -> dict[str, Picture]:
    """A picture of each variant, by the name of its file."""
    return {
        _file(entry): of_similarity(similarity(entry.name).numpy(), (CENTRE, CORNER))
        for entry in shipped("variants")
    }


def page() -> str:
    """All variants, in a table and one by one."""
    entries = shipped("variants")
    learned = {entry.name: _parameters(entry.name) for entry in entries}
    rows = [
        (linked("variants", e), cell(e.summary), f"{learned[e.name]:,}", claims("variants", e))
        for e in entries
    ]
    head = ("variant", "what it is", f"learned parameters, `{PRESET}`", "claims")
    sections = [_section(entry, learned[entry.name]) for entry in entries]
    return "\n\n".join([HEAD, table(head, rows), *sections]) + "\n"


def _section(entry: Entry, learned: int) -> str:
    picture = f"![Logits of two tokens with all others under {entry.name}]({_file(entry)})"
    facts = [(f"Learned parameters at the `{PRESET}` preset", f"{learned:,}")]
    facts += [("Larger grids", _extrapolation(entry))]
    return section("variants", entry, picture=picture, facts=facts)


def _extrapolation(entry: Entry) -> str:
    if built(entry.name).extrapolates:
        return "tokens of the trained grid keep the logits that they had"
    return "logits of the trained grid's tokens change"


def _parameters(name: str) -> int:
    return sum(weight.numel() for weight in built(name).parameters())


def _file(entry: Entry) -> str:
    return f"{FOLDER}/{entry.name}.png"
