"""`model.positions` as text: exactly one base, and what moves tokens before and after. Imports no torch."""

from rope_dit.errors import UserError
from rope_dit.registry import POSITIONS, Part

BASE = 20
"""the stage of bases"""


def canonical(spec: str, *, stored: bool = False) -> str:
    """Return `spec` with all options and with its base, so that equal things have equal text.

    Args:
        spec: names joined by '+', as in `normalized+shift`; without a base, that is `index`.
        stored: it was read back from a record; see `Registry.canonical`.

    Raises:
        UserError: a name or option is unknown, a value does not fit, there are two bases, or an item does
            not say its stage.
    """
    text = POSITIONS.canonical(spec, stored=stored)
    bases = [part.name for part in map(Part.parse, text.split("+")) if stage(part.name) == BASE]
    if len(bases) > 1:
        raise UserError(f"model.positions got {' and '.join(bases)} in '{spec}', expected one of them.")
    return text if bases else POSITIONS.canonical(f"index+{text}", stored=stored)


def stage(name: str) -> int:
    """Return when an item acts, from what its class claims."""
    claimed = POSITIONS[name].claims.get("stage")
    if not isinstance(claimed, int):
        raise UserError(f"position '{name}' claims the stage {claimed!r}, expected a number: {BASE} for "
                        "a base, less to move indices, more to move coordinates.")  # fmt: skip
    return claimed
