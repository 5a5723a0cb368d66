"""Under which names MLflow shows what a run folder holds, and how long its texts may be."""

import hashlib
import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rope_dit.samplers.spec import SamplerSpec

PARAM_LENGTH, TAG_LENGTH = 6000, 5000
"""characters that any MLflow 3 stores; it cuts longer params in silence"""
Point = tuple[str, int, float, float]
"""key, step, value, seconds since 1970"""


def score_points(scores: list[dict[str, str]], config: Mapping[str, Any]) -> Iterator[Point]:
    """Points of the curves: each score against training steps, and the last step's against evaluations (NFE).

    A score's name is `fd_digits/heun-25-cfg1`, with `fd_digits_n500` for any n but the first of the config's
    eval.n, and `cfg1-seed1` for further sampling seeds. `by_nfe/fd_digits/heun-cfg1` is the curve against
    NFE, its step the NFE. `real_floor/fd_digits` is what real pictures would score.

    Args:
        scores: rows of scores.csv.
        config: the config in config.json, which never changes: so a name does not either.
    """
    evaluation, last = config["eval"], config["train"]["steps"]
    rough = str(evaluation["every_n"]) if evaluation["every_n"] not in evaluation["n"] else ""
    for row in scores:
        spec, step, seconds = SamplerSpec.parse(row["sampler"]), int(row["train_step"]), float(row["time"])
        named_so = re.search(r"_n\d+$", row["metric"])  # as the file of an extractor may be
        main = row["n"] == str(evaluation["n"][0]) and not named_so
        metric, value = row["metric"] + ("" if main else f"_n{row['n']}"), float(row["value"])
        seed = "" if row["sampling_seed"] == "0" else f"-seed{row['sampling_seed']}"
        end = f"cfg{row['guidance']}{seed}"
        yield f"{metric}/{spec.slug}-{end}", step, value, seconds
        yield f"real_floor/{metric}", step, float(row["real_floor"]), seconds
        if step == last and row["n"] != rough:
            yield f"by_nfe/{metric}/{spec.family}-{end}", round(float(row["nfe"])), value, seconds


def metric_name(name: str) -> str:
    """Return a name that MLflow takes: itself, or where that cannot be, one that is still unique.

    >>> metric_name("fd_digits/heun-25-cfg1"), metric_name("fd@k")
    ('fd_digits/heun-25-cfg1', 'fd_k-1db08be8')
    """
    if re.fullmatch(r"[A-Za-z0-9_][\w./ -]{0,249}", name, re.ASCII) and posixpath.normpath(name) == name:
        return name
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', name)[:200]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def shorten(text: str, limit: int) -> str:
    """Cut a text that MLflow would refuse or cut, and say so; config.json has it whole.

    >>> shorten("abc" * 100, 60)
    'abcabcabcabcabcabcabca... (300 characters, SHA-256 d9f5aeb0)'
    """
    if len(text) <= limit:
        return text
    mark = f"... ({len(text)} characters, SHA-256 {hashlib.sha256(text.encode()).hexdigest()[:8]})"
    return text[: limit - len(mark)] + mark
