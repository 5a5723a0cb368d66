"""What tuning may choose from: a study file's SPACE, applied to an arm."""

import itertools
import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from experiments.config.canonical import canonical_value
from experiments.config.former import upgraded_override
from experiments.config.study import Space
from experiments.config.text import flatten
from experiments.config.tuning import Choice, Range
from experiments.coordinator.arm import Arm
from experiments.coordinator.plan import Plan
from rope_dit.errors import UserError
from rope_dit.registry import POS_EMBEDS

MOST = 1000  # configurations of a space that are listed, to tell when all have been tried
DRAWN = 4 * MOST  # evenly spread numbers, among which every text of a Range is that it often has


def space_text(space: Space) -> str:
    """A space as one line of JSON; `read_space` is the inverse."""
    return json.dumps({key: _fields(what) for key, what in sorted(space.items())})


def read_space(text: str) -> Space:
    """The space that `space_text` wrote. Raises UserError where it is something else."""
    try:
        return {
            key: Choice(*what["values"]) if "values" in what else Range(**what)
            for key, what in json.loads(text).items()
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"the saved SPACE is damaged ({error!r}).") from None


def own_space(arm: Arm, space: Space) -> Space:
    """What of a space an arm has: all settings, and those options of variants that its own has.

    Sorted, because Optuna draws one after the other: another order would be another search.
    """
    return {key: what for key, what in sorted(space.items()) if "." in key or _option(key).search(arm.spec)}


def configured(arm: Arm, key: str, value: str) -> Arm:
    """An arm with one setting, or one option of its variant, changed. Raises UserError where it cannot be."""
    if "." not in key:
        spec = _option(key).sub(lambda found: f"{found[1]}{value}", arm.spec)
        return replace(arm, spec=POS_EMBEDS.canonical(spec))
    key, value = upgraded_override(key, value)
    changed = Arm.parse(f"{arm};{key}={value}").overrides[-1]
    return replace(arm, overrides=(*(o for o in arm.overrides if o[0] != changed[0]), changed))


def value_text(value: Any) -> str:
    """A value that was drawn, as specs and the command line take it: three digits unless it is whole."""
    return three_digits(value) if isinstance(value, float) else str(value)


def three_digits(value: float) -> str:
    """A number as specs and the command line take it.

    >>> three_digits(1543.2), three_digits(0.00031416), three_digits(1.5432e8)
    ('1540', '0.000314', '1.54e8')
    """
    return re.sub(r"e\+0*", "e", f"{float(f'{value:.3g}'):g}")


def points(space: Space) -> list[dict[str, Any]] | None:
    """All configurations of a space, of which values that read alike count as one; None for more than MOST.

    >>> points({"train.batch": Choice(8, 16), "train.warmup_steps": Range(1, 3, whole=True)})[2:4]
    [{'train.batch': '8', 'train.warmup_steps': 3}, {'train.batch': '16', 'train.warmup_steps': 1}]
    """
    every = [_values(what) for what in space.values()]
    if math.prod(map(len, every)) > MOST:
        return None
    return [dict(zip(space, chosen, strict=True)) for chosen in itertools.product(*every)]


def _values(what: Range | Choice) -> Sequence[Any]:
    """Values of a Choice or a Range, one for each text; of a Range those that are likely to be drawn."""
    if isinstance(what, Choice):
        return what.values
    if what.whole:
        return range(int(what.low), int(what.high) + 1)
    shares = [(i + 0.5) / DRAWN for i in range(DRAWN)]
    if what.log:
        drawn = [what.low * (what.high / what.low) ** share for share in shares]
    else:
        drawn = [what.low + (what.high - what.low) * share for share in shares]
    return [*{value_text(value): value for value in drawn}.values()]


def distribution(what: Range | Choice) -> BaseDistribution:
    """Optuna's word for it."""
    if isinstance(what, Choice):
        return CategoricalDistribution(what.values)
    if what.whole:
        return IntDistribution(int(what.low), int(what.high), log=what.log)
    return FloatDistribution(what.low, what.high, log=what.log)


def default_params(arm: Arm, space: Space, plan: Plan) -> dict[str, Any]:
    """The arm's default configuration as a point of the space, moved to its edge where it lies outside."""
    settings = {key.replace("_", "-"): value for key, value in flatten(arm.config(plan.base)).items()}
    params: dict[str, Any] = {}
    for key, what in space.items():
        found, name = _option(key).search(arm.spec), upgraded_override(key, "")[0]  # Optuna has its old name
        text = settings[name.replace("_", "-")] if "." in key else found[2] if found else ""
        if isinstance(what, Range):
            nearest = min(max(float(text), what.low), what.high)
            params[key] = int(nearest) if what.whole else nearest
        else:
            same = {_whole(name, value): value for value in what.values}
            params[key] = same.get(_whole(name, text), what.values[0])
    return params


def _fields(what: Range | Choice) -> dict[str, Any]:
    """As JSON; nothing is said of `whole` where it is not so, as in searches of before there was one."""
    return {name: value for name, value in asdict(what).items() if (name, value) != ("whole", False)}


def _whole(name: str, value: str) -> str:
    """A value with all options, where it is a setting's and a spec."""
    return canonical_value(name, value) if "." in name else value


def _option(key: str) -> re.Pattern[str]:
    return re.compile(rf"((?<=[:,]){re.escape(key)}=)([^,+]*)")
