"""Arms: what a study compares. `[label=]spec[;field=value]...`, as text on the command line.

An arm is a variant and the settings in which it differs from the others: `fast=rope2d;train.lr=3e-4`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from experiments.config.canonical import canonical_value
from experiments.config.former import upgraded_override
from experiments.config.overrides import override
from experiments.config.run import LABEL, RunConfig
from experiments.config.text import flatten
from experiments.records.definition import ArmRecord
from rope_dit.errors import UserError
from rope_dit.registry import POS_EMBEDS

SHARED = ("train.steps", "train.threads", "train.averages", "train.log-every", "train.save-seconds")
"""what all arms of a study have in common, because the primary endpoint or the results' bits depend on it"""


@dataclass(frozen=True)
class Arm:
    """A variant and the settings in which it differs.

    Args:
        label: name in tables, plots and folders.
        spec: canonical spec of the variant.
        overrides: settings by their name on the command line, such as ("train.lr", "3e-4").
    """

    label: str
    spec: str
    overrides: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str, stored: bool = False) -> "Arm":
        """Read an arm. Raises UserError for an unknown variant or a setting that arms cannot differ in.

        Args:
            text: the arm.
            stored: it comes from a record, where options that it does not know are at their neutral values.
        """
        head, *rest = text.split(";")
        label, named, spec = _split_label(head)
        overrides = tuple(_override(part, text) for part in rest)
        if stored:  # arms of before could differ in what is now the same in all
            overrides = tuple(upgraded_override(*one) for one in overrides)
        else:
            _check_free(overrides, text)
        if twice := {key for key, _ in overrides if [k for k, _ in overrides].count(key) > 1}:
            raise UserError(f"arm '{text}': {min(twice)} is given twice; give it once.")
        if not named:
            label = _slug(POS_EMBEDS.canonical(spec), overrides)
        spec = POS_EMBEDS.canonical(spec, stored=stored)
        try:
            overrides = tuple((key, canonical_value(key, value, stored=stored)) for key, value in overrides)
        except UserError as error:
            raise UserError(f"arm '{text}': {error}") from None
        if not re.fullmatch(LABEL, label):
            raise UserError(f"arm '{text}': label got '{label}', expected 1 to 80 of A-Z a-z 0-9 . _ -")
        return cls(label, spec, overrides)

    def config(self, base: RunConfig) -> RunConfig:
        """Settings of this arm's runs: `base` with the arm's own. Raises UserError where one does not fit."""
        try:
            changed = override(base, dict(self.overrides))
        except UserError as error:
            raise UserError(f"arm {self.label}: {error}", error.details) from None
        return replace(changed, variant=self.spec, arm=self.label)

    def settings(self, base: RunConfig) -> str:
        """All settings of this arm's runs as one text, equal for arms that are the same by another label."""
        return str(sorted(flatten(replace(self.config(base), arm="")).items()))

    def record(self, identity: Mapping[str, str]) -> ArmRecord:
        """The arm as a study's definition has it, with what of its identity is not the same in all arms."""
        return ArmRecord(self.label, self.spec, dict(self.overrides), dict(identity))

    def __str__(self) -> str:
        return ";".join([f"{self.label}={self.spec}", *(f"{key}={value}" for key, value in self.overrides)])


def parse_arms(texts: Iterable[str], base: RunConfig) -> dict[str, Arm]:
    """Read arms, by label. Raises UserError for none, for a label or a configuration that comes twice."""
    arms: dict[str, Arm] = {}
    seen: dict[str, str] = {}
    for text in texts:
        arm = Arm.parse(text)
        twin = seen.setdefault(arm.settings(base), arm.label)
        if arm.label in arms or twin != arm.label:
            why = f"its label is taken by {arms[arm.label]}" if arm.label in arms else f"it is {twin} again"
            raise UserError(f"arm '{text}' is there twice: {why}. Leave one out, or change its label.")
        arms[arm.label] = arm
    if not arms:
        raise UserError("the study has no arms; expected --variants or --arms with at least one.")
    return arms


def _split_label(head: str) -> tuple[str, bool, str]:
    """Part `fast=rope2d:theta=10` into its label, whether it has one, and the spec."""
    label, equals, spec = head.partition("=")
    if equals and not re.search(r"[:,+]", label):
        return label.strip(), True, spec
    return "", False, head


def _override(part: str, arm: str) -> tuple[str, str]:
    key, equals, value = (word.strip() for word in part.partition("="))
    key = key.replace("_", "-")
    if not (equals and value):
        raise UserError(f"arm '{arm}': got '{part}', expected field=value such as train.lr=3e-4.")
    return key, value


def _check_free(overrides: Iterable[tuple[str, str]], arm: str) -> None:
    """Raise UserError for a setting in which arms cannot differ, by its name of today or of before."""
    for given, _ in overrides:
        key, _ = upgraded_override(given, "0")  # only its name matters
        if not key.startswith(("train.", "model.")) or key in SHARED:
            raise UserError(
                f"arm '{arm}': {given} is the same in all arms of a study; arms differ in train.* and "
                f"model.*, but not in {', '.join(SHARED)}."
            )


def _slug(spec: str, overrides: tuple[tuple[str, str], ...]) -> str:
    """Readable label: the variant's short name, then what differs, as in `rope2d-lr0.0003`."""
    ends = [f"{key.rpartition('.')[2]}{value}" for key, value in overrides]
    return re.sub(r"[^A-Za-z0-9._-]", "-", "-".join([POS_EMBEDS.slug(spec), *ends]))[:80]
