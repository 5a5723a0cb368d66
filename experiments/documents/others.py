"""The page of everything that is registered and has no page of its own."""

import experiments.config.registries  # noqa: F401  registers its own
from experiments.documents.words import MADE, about, cell, linked, section, shipped, table
from rope_dit.registry import REGISTRIES

ELSEWHERE = ("variants", "samplers", "grids", "guidances", "figures")
"""kinds with pages of their own; figures, which a report shows"""
HEAD = f"""{MADE}

# Everything else that is registered

Besides [variants](variants.md) and [samplers](samplers.md), a study may vary what stands here. A new one is
a new file: [CONTRIBUTING.md](../CONTRIBUTING.md) has a recipe for each kind."""


def kinds() -> list[str]:
    """Kinds that this page has."""
    return [kind for kind in REGISTRIES if kind not in ELSEWHERE]


def page() -> str:
    """Kind by kind, each in a table and one by one."""
    contents = "\n".join(f"- [{kind}](#{kind})" for kind in kinds())
    return "\n\n".join([HEAD, contents, *(block for kind in kinds() for block in _kind(kind))]) + "\n"


def _kind(kind: str) -> list[str]:
    entries = shipped(kind)
    rows = [(linked(kind, entry), cell(entry.summary)) for entry in entries]
    head = (REGISTRIES[kind].kind, "what it is")
    return [f"## {kind}", about(kind), table(head, rows), *(section(kind, entry) for entry in entries)]
