"""A study file's SPACE, tried before a search begins: its keys, its types, and values of every key."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from experiments.cli.plugins import plugin_errors
from experiments.config.former import upgraded_override
from experiments.config.overrides import known_settings
from experiments.config.run import RunConfig
from experiments.config.study import Space
from experiments.config.tuning import Choice, Range
from experiments.coordinator.arm import SHARED, Arm
from experiments.coordinator.tuning.drawing import WhyNot
from experiments.coordinator.tuning.space import configured, own_space, value_text
from experiments.datasets import Images
from experiments.runner.resolve import check_buildable
from rope_dit.config import option
from rope_dit.errors import UserError, nearest
from rope_dit.registry import POS_EMBEDS, Option, Part


def typed_space(space: Space, arms: Iterable[Arm]) -> Space:
    """The space as it is searched: a Range of what takes no other numbers asks for whole ones.

    An option that only other variants have is kept: a study file's arms may be narrowed on the command line.

    Raises UserError for a key that nothing has, and for what is neither a Range nor a Choice.
    """
    options = [one for arm in arms for one in _options(arm)]
    return {key: _typed(key, what, options) for key, what in space.items()}


@plugin_errors()
def check_space(space: Space, arms: Iterable[Arm], base: RunConfig, images: Images) -> None:
    """Make what single values of a space name: each of a Choice, of a Range its ends and a point between.

    Raises UserError for the first that does not fit an arm.
    """
    for arm in arms:
        for key, what in own_space(arm, space).items():
            for text in values_to_try(what):
                try:
                    check_buildable(configured(arm, key, text).config(base), images)
                except UserError as error:
                    raise UserError(f"SPACE {key}={text}: {error}", error.details) from None


def buildable(base: RunConfig, images: Images) -> WhyNot:
    """What tells why an arm's runs cannot be, '' where they can."""

    @plugin_errors()
    def build(arm: Arm) -> None:
        check_buildable(arm.config(base), images)

    def why_not(arm: Arm) -> str:
        try:
            build(arm)
        except UserError as error:
            return str(error)
        return ""

    return why_not


def values_to_try(what: Range | Choice) -> tuple[str, ...]:
    """Texts of all values of a Choice; of the ends of a Range, and of a point between.

    >>> values_to_try(Choice(8, 16)), values_to_try(Range(1, 8, whole=True))
    (('8', '16'), ('1', '4', '8'))
    >>> values_to_try(Range(1e-4, 1, log=True))
    ('0.0001', '0.01', '1')
    """
    if isinstance(what, Choice):
        return what.values
    between = math.sqrt(what.low * what.high) if what.log else (what.low + what.high) / 2
    number = int if what.whole else float
    return tuple(value_text(number(value)) for value in (what.low, between, what.high))


def _typed(key: str, what: Any, options: Iterable[Option]) -> Range | Choice:
    if not isinstance(what, Range | Choice):
        raise UserError(f"SPACE {key} got {what!r}, expected a Range or a Choice.")
    types = _setting_types(key) if "." in key else {one.type for one in options if one.name == key}
    of_variants = {name for entry in POS_EMBEDS for name in entry.options}
    if not types and key not in of_variants:
        hint = nearest(key, sorted(of_variants | _settings()))
        raise UserError(f"SPACE got '{key}', expected a setting such as train.lr, or an option of a variant."
                        f"{hint} Mend it, or leave it out.")  # fmt: skip
    try:
        return replace(what, whole=True) if isinstance(what, Range) and int in types else what
    except UserError as error:
        raise UserError(f"SPACE {key}: {error}") from None


def _options(arm: Arm) -> Iterable[Option]:
    """Options of all parts of an arm's variant."""
    return [one for text in arm.spec.split("+") for one in POS_EMBEDS[Part.parse(text).name].options.values()]


def _settings() -> set[str]:
    """Settings that arms may differ in, as SPACE has them."""
    names = {name.removeprefix("--") for name in known_settings()} - {*SHARED}
    return {name.replace("-", "_") for name in names}


def _setting_types(key: str) -> set[Any]:
    """Type of one value of a setting, under its name of today or of before; none where there is no such."""
    argument = known_settings().get(f"--{option(upgraded_override(key, '')[0])}")
    return {argument.type} if argument else set()
