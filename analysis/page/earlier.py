"""What a report is made of, kept beside it: a later one that has less does not take its place."""

import json
from pathlib import Path
from typing import Any

from analysis.study import Study
from experiments.records.seal import sealed, unsealed
from rope_dit.errors import UserError

FILE = "report.json"


def record(study: Study) -> str:
    """The study that a report is of, and the number of scores of each cell that is done, as JSON."""
    counts = study.scores["run_id"].value_counts().to_dict()
    done = study.cells[study.cells["state"] == "done"]
    cells = {f"{c.arm}, seed {c.seed}": counts[c.run_id] for c in done.itertuples()}
    made_of = {"study": study.name, "created": study.definition.created, "scores": cells}
    made_of["replaced"] = len(study.definition.replaced)
    return json.dumps(sealed(made_of), indent=1)


def check_keeps(study: Study, folder: Path) -> None:
    """Raise UserError where the report in a folder is of the same study and has what is not there now.

    Arms that were replaced since may have less: their scores of before are left out on purpose.
    """
    before = _read(folder / FILE)
    if before is None or before["created"] != study.definition.created:
        return
    now = json.loads(record(study))["scores"]
    mended = {one.arm for one in study.definition.replaced[before["replaced"] :]}
    why = {f"{c.arm}, seed {c.seed}": f"{c.state} ({c.message})" for c in study.cells.itertuples()}
    cells = study.cells[["arm", "seed"]].to_dict("records")
    changed = {f"{cell['arm']}, seed {cell['seed']}" for cell in cells if cell["arm"] in mended}
    lost = [
        f"{cell}: had {count} scores, now {now[cell] if cell in now else why.get(cell, 'no such cell')}"
        for cell, count in before["scores"].items()
        if now.get(cell, 0) < count and cell not in changed
    ]
    if lost:
        raise UserError(
            f"{folder} keeps its report, for a new one would lack {len(lost)} runs that it has; send them "
            "again (experiments.study --sync), or move that folder away.", lost
        )  # fmt: skip


def _read(file: Path) -> dict[str, Any] | None:
    """What `record` gave; None beside a report of before there were records."""
    try:
        found, _ = unsealed(json.loads(file.read_text()), file, "move the report away")
        replaced = int(found.get("replaced", 0))  # reports of before arms could be replaced do not say
        return {"created": found["created"], "scores": {**found["scores"]}, "replaced": replaced}
    except FileNotFoundError:
        return None
    except UserError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is damaged ({error!r}); move the report away.") from None
