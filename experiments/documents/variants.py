"""The page of variants: what each is, does to attention, and costs."""

from experiments.documents.pictures import Picture, of_similarity
from experiments.documents.similarity import CENTRE, CONTENTS, CORNER, PRESET, built, similarity
from experiments.documents.words import MADE, cell, claims, linked, section, shipped, table
from rope_dit.errors import UserError
from rope_dit.extrapolations.compose import Able, Extrapolations
from rope_dit.registry import Entry

FOLDER = "variants"
HEAD = f"""{MADE}

# Variants

Positional embeddings. A run names one as its variant, with options, or several joined by `+`:
`learned+rope2d:theta=50`.

Each picture shows the logits of the first block between a token and all others where all tokens have the same
content: what position alone does to attention. Above it is the token at the centre, below that in the corner
(rings). The network is that of the `{PRESET}` preset (8x8 tokens, 8 heads) as it starts: what is learned
stands at its first values, or, where these change next to nothing, at random ones, as the variant's section
says then. Queries and keys are the normalised tokens themselves; logits are means over {CONTENTS} random
contents, equal in all heads, and their negatives. The mean over all tokens is taken away, which a softmax
does not see; tokens that a variant hides are grey. Heads are shown one by one where they differ. All panels
of a variant share one scale, which reaches to 1 at least, so that next to nothing looks like it."""


def pictures() -> dict[str, Picture]:
    """A picture of each variant, by the name of its file."""
    return {
        _file(entry): of_similarity(similarity(entry.name)[0].numpy(), (CENTRE, CORNER))
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
    remark = similarity(entry.name)[1]
    facts = [("Picture", remark)] if remark else []
    facts += [(f"Learned parameters at the `{PRESET}` preset", f"{learned:,}")]
    facts += [("Larger grids", _extrapolation(entry))]
    return section("variants", entry, picture=picture, facts=facts)


def _extrapolation(entry: Entry) -> str:
    variant = built(entry.name)
    kept = "keep the logits that they had" if variant.extrapolates else "do not keep their logits"
    able = Able(entry.name, "index", variant.uses_coordinates, variant.extrapolates_frequencies, grows=True)
    bases, beside = ([e for e in shipped("extrapolations") if bool(e.claims.get("modifies")) is modifies]
                     for modifies in (False, True))  # fmt: skip
    forms = [e.name for e in bases if e.claims.get("acts_on") and _applies(e.name, able)]
    forms += [e.name for e in beside if any(_applies(f"{spec}{e.name}", able)
                                            for spec in ("", *(f"{form}+" for form in forms)))]  # fmt: skip
    links = ", ".join(f"[`{form}`](others.md#extrapolations-{form})" for form in forms) or "none"
    return f"tokens of the trained grid {kept}; extrapolations that apply: {links}"


def _applies(spec: str, able: Able) -> bool:
    try:
        Extrapolations(spec, able)
    except UserError:
        return False
    return True


def _parameters(name: str) -> int:
    return sum(weight.numel() for weight in built(name).parameters())


def _file(entry: Entry) -> str:
    return f"{FOLDER}/{entry.name}.png"
