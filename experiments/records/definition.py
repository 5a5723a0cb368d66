"""What a study is, as MLflow keeps it: tags of the experiment, so that a report needs the store alone."""

import json
from typing import Any

from rope_dit.errors import UserError

TAG = "rope_dit.study"
LENGTH = 4000  # characters a tag, of the 5000 that every MLflow store takes

Definition = dict[str, Any]


def write_definition(client: Any, experiment_id: str, definition: Definition) -> None:
    """Store a definition in as many tags as it needs, `rope_dit.study.0` and so on."""
    text = json.dumps(definition)
    for i in reversed(
        range(0, len(text) + LENGTH, LENGTH)
    ):  # an empty one ends it, should an earlier be longer
        client.set_experiment_tag(experiment_id, f"{TAG}.{i // LENGTH}", text[i : i + LENGTH])


def read_definition(client: Any, experiment: str) -> Definition | None:
    """Return the definition of the study of that name, or None for an experiment that is no study."""
    found = client.get_experiment_by_name(experiment)
    parts, tags = [], found.tags if found else {}
    while part := tags.get(f"{TAG}.{len(parts)}"):
        parts.append(part)
    try:
        return json.loads("".join(parts)) if parts else None
    except ValueError:
        raise UserError(
            f"the definition of study {experiment} is being written; try again in a second."
        ) from None
