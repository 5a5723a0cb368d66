"""Single settings as text, as arms have them, and a whole run as a command line. Imports no torch."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from experiments.cli.arguments import Argument, arguments, unknown_option, words_for
from experiments.cli.paths import everywhere
from experiments.config.presets import preset
from experiments.config.run import RunConfig
from rope_dit.config import option
from rope_dit.errors import UserError


def override(config: RunConfig, texts: Mapping[str, str]) -> RunConfig:
    """Settings with some of model.* and train.* changed.

    Args:
        config: what they are taken from.
        texts: values as the command line takes them, by name, such as {"train.lr": "3e-4"}.

    Raises:
        UserError: an unknown name, or a value that does not fit.
    """
    known = known_settings()
    parts: dict[str, dict[str, Any]] = {"model": {}, "train": {}}
    for key, text in texts.items():
        name = f"--{option(key)}"
        if name not in known:
            raise unknown_option(name, list(known))
        parts[key.partition(".")[0]][known[name].field] = _read(known[name], name, text)
    changed = {part: replace(getattr(config, part), **values) for part, values in parts.items()}
    return replace(config, **changed)


@cache
def known_settings() -> Mapping[str, Argument]:
    """The settings of model.* and train.*, by their option on the command line, such as `--train.lr`."""
    first = {argument.names[0]: argument for argument in arguments(RunConfig)}
    return {name: argument for name, argument in first.items() if name.startswith(("--model.", "--train."))}


def _read(argument: Argument, name: str, text: str) -> Any:
    """One value from its text."""
    if argument.type is bool:
        if text.lower() not in ("true", "false"):
            raise UserError(f"{name} got '{text}', expected true or false.")
        return text.lower() == "true"
    if argument.most > 1:  # a list is a/b/c
        values = text.split("/")
        argument.check(name, values)
        return tuple(values)
    argument.check(name, [text])
    return argument.type(text) if argument.type in (int, float) else text


def command_line(config: RunConfig) -> list[str]:
    """Arguments of `experiments.run` that give these settings, their paths in full."""
    before, args = dict(_values(preset(config.preset))), ["--preset", config.preset]
    for name, value in _values(config):
        if value != before[name]:
            args += words_for("data" if name == "data.name" else name, value)
    return args


def _values(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every field that is no dataclass, named as on the command line; paths in full."""
    for f in fields(config):
        value = getattr(config, f.name)
        if is_dataclass(value):
            yield from _values(value, f"{prefix}{f.name}.")
        else:
            yield prefix + f.name, everywhere(value) if isinstance(value, Path) else value
