"""What things are called in MLflow, and how long its texts may be. Imports no torch and no mlflow."""

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from experiments.config.former import upgraded
from experiments.records.score import NOTHING, TRAINED, Score, larger_name, sampling_index
from rope_dit.averages.names import average_name
from rope_dit.guidance.spec import GuidanceSpec
from rope_dit.samplers.spec import SamplerSpec

PARAM_LENGTH, TAG_LENGTH = 6000, 5000
"""characters that any MLflow 3 stores; it cuts longer params in silence"""
Point = tuple[str, int, float, float]
"""key, step, value, seconds since 1970"""


@dataclass(frozen=True)
class Naming:
    """What of a run's settings its scores are named by; these never change, so a name does not either.

    Args:
        main_n: pictures of the scores that count.
        rough_n: pictures of the scores during training.
        last_step: step at which training ends.
        ns: all numbers of pictures of the final scores.
        average: name of the averaged weights whose scores count.
    """

    main_n: int
    rough_n: int
    last_step: int
    ns: tuple[int, ...]
    average: str = ""

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> "Naming":
        """From the settings in config.json."""
        evaluation = config["eval"]
        ns, train = tuple(evaluation["n"]), upgraded(config)["train"]
        return cls(ns[0], evaluation["every_n"], train["steps"], ns, average_name(train["averages"][0]))

    @classmethod
    def of_params(cls, params: Mapping[str, str]) -> "Naming":
        """From the params of its MLflow run."""
        ns = tuple(map(int, params["eval.n"].split()))
        decay = params.get("train.ema_decay")  # as it was called when there was one average
        kept = params.get("train.averages", "").split()
        average = average_name(kept[0]) if kept else f"{float(decay):.9g}" if decay else ""
        return cls(ns[0], int(params["eval.every_n"]), int(params["train.steps"]), ns, average)


def score_name(metric: str, sampler: str, guidance: str, sampling_seed: int | None, average: str = "") -> str:
    """Name of a score in MLflow; an `average` is named where it is not the one that counts.

    A sampling is named by its index, so that curves of all training seeds have the same name.

    >>> score_name("fd_digits", "heun-25", "cfg:weight=3", 1)
    'fd_digits/heun-25-cfg3-seed1'
    """
    index = sampling_index(sampling_seed or 0)
    seed = f"-seed{index}" if index else ""
    return f"{metric}/{sampler}-{GuidanceSpec.parse(guidance).slug}{seed}{_of(average)}"


def _of(average: str) -> str:
    """What names end with for an average that is named."""
    return f"-ema-{average}" if average else ""


def rough_metric(metric: str, n: int | None) -> str:
    """What a metric is called where it was made of another number of pictures than the one that counts."""
    return f"{metric}_n{n}"


def score_points(scores: Iterable[Score], naming: Naming) -> Iterator[Point]:
    """Points of the curves: each score against training steps, and the last step's against evaluations (NFE).

    A score's name is `fd_digits/heun-25-cfg1`, with `fd_digits_n500` for any n but the first of the config's
    eval.n, `heun-25-12x12` for another grid of tokens, and `cfg1-seed1` for further samplings. What probes
    found of the network is `probes/held_out_loss`. `by_nfe/fd_digits/heun-cfg1` is the curve against
    NFE, its step the NFE. `real_floor/fd_digits` is what real pictures would score, `untrained/fd_digits`
    what those of an untrained network do, each where that was measured.

    Raises UserError for a sampler or guidance of a plug-in that is not here: it alone knows the name, and
    under another the store would hold the score twice.
    """
    for score in scores:
        key = score.key
        average = "" if naming.average in ("", key.ema) else key.ema
        if key.sampler == NOTHING:  # measured of the network itself
            yield f"probes/{key.metric}{_of(average)}", key.train_step, score.value, score.time
            continue
        spec = SamplerSpec.parse(key.sampler)
        named_so = re.search(r"_n\d+$", key.metric)  # as the file of an extractor may be
        main = key.n == naming.main_n and not named_so
        metric = key.metric if main else rough_metric(key.metric, key.n)
        slug = f"{spec.slug}{larger_name(key.tokens, key.extrapolation)}"
        yield (
            score_name(metric, slug, key.guidance, key.sampling_seed, average),
            key.train_step,
            score.value,
            score.time,
        )
        if score.real_floor is not None:
            yield f"real_floor/{metric}", key.train_step, score.real_floor, score.time
        if score.untrained is not None:
            yield f"untrained/{metric}", key.train_step, score.untrained, score.time
        final = key.train_step == naming.last_step and (key.n != naming.rough_n or key.n in naming.ns)
        if final and key.nfe is not None and key.tokens == TRAINED:
            curve = score_name(f"by_nfe/{metric}", spec.family, key.guidance, key.sampling_seed, average)
            yield curve, round(key.nfe), score.value, score.time


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
