"""The primary endpoint as its user chooses it: the one score on which a study's verdicts stand."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from rope_dit.errors import check


def _usual(metavar: str, hint: str) -> object:
    """How the help shows a choice that is left open."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=f"(default: {hint})")


@dataclass(frozen=True, kw_only=True)
class EndpointConfig:
    """Which of the study's scores it is, fixed before any run; what is left out is as usual."""

    metric: Annotated[str, _usual("VALUE", "fd")] = ""
    """value of a metric, such as fd, kid or recall; --list metrics shows them and their direction"""
    extractor: Annotated[str, _usual("NAME", "eval.extractor")] = ""
    """name of the study's extractor: a study scored with another one is refused"""
    sampler: Annotated[str, _usual("SPEC", "the first of eval.samplers")] = ""
    """one of eval.samplers; it draws the curve over training steps too"""
    guidance: Annotated[str, _usual("SPEC", "none, or the first of eval.guidances without it")] = ""
    """one of eval.guidances, as in cfg:weight=1; it draws the curve over training steps too"""
    n: Annotated[int, _usual("INT", "the first of eval.n")] = 0
    """one of eval.n"""

    def __post_init__(self) -> None:
        check(self.n >= 0, "endpoint.n", self.n, "one of eval.n, or 0 for its first")
