"""Write the pages about all that is registered, which docs/ has: what changed, and nothing else.

Example: python -m experiments.document --out docs
Texts come from the files' docstrings, pictures and numbers from what the code computes. A test says when the
pages in docs/ are no longer what this command would write.
"""

from dataclasses import dataclass
from pathlib import Path

from experiments.cli.arguments import parse
from experiments.cli.main import OK, StopFlag, main
from experiments.cli.paths import given
from rope_dit.errors import UserError


@dataclass(frozen=True, kw_only=True)
class DocumentConfig:
    """Where to write."""

    out: Path = Path("docs")
    """folder; made if it is not there"""


def command(args: list[str], stop: StopFlag) -> int:
    """Write and say what was written; returns the exit code."""
    out = given(parse(DocumentConfig, DocumentConfig(), args, "python -m experiments.document", __doc__).out)
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is no folder; choose another.")
    from experiments.documents.pages import write

    changed = write(out)
    print("\n".join(f"{out / name}" for name in changed) or f"{out} is as it would be written; nothing to do")
    return OK


if __name__ == "__main__":
    main(command)
