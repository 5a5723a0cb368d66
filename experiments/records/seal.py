"""Records that tell when they were changed after they were written: a SHA-256 of all else stands in them.

It guards against bad disks and well-meant edits, not against forgers. Records of versions without one are
read as they are, and those who read them say so. Imports no torch.
"""

from collections.abc import Mapping
from typing import Any

from experiments.config.text import digest
from rope_dit.errors import UserError

SEAL = "sha256"
"""field of a record that holds the SHA-256 of the others"""


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record of JSON values with its seal as its last field, in place of one that it had.

    >>> sealed({"seed": 1})["sha256"][:8]
    'a4bbadc1'
    """
    rest = {key: value for key, value in record.items() if key != SEAL}
    return {**rest, SEAL: digest(rest)}


def unsealed(found: Any, place: object, mend: str) -> tuple[Any, bool]:
    """What `sealed` was given, and whether there was a seal.

    Args:
        found: what was read; what is no mapping is handed on, for whoever reads it to refuse.
        place: the file, for the message.
        mend: what to do about it, such as "restore it, or choose another --name".

    Raises UserError where the record is not the one that was sealed.
    """
    if not isinstance(found, dict) or SEAL not in found:
        return found, False
    rest = {key: value for key, value in found.items() if key != SEAL}
    if digest(rest) != found[SEAL]:
        raise UserError(f"{place} was changed after it was written (its SHA-256 is another); {mend}.")
    return rest, True
