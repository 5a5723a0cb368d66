"""Guidance as text, as in `cfg:weight=3`: what a score is named after. Imports no torch."""

import re
from dataclasses import dataclass

from rope_dit.config import check
from rope_dit.errors import UserError
from rope_dit.registry import Option, Part, show

_OPTIONS = {
    name: Option(name, float, value) for name, value in (("begin", 0.0), ("end", 1.0), ("weight", 1.0))
}
_NUMBER = r"[0-9]+\.?[0-9]*(?:e-?[0-9]+)?"
_OLD = re.compile(rf"({_NUMBER})(?:-({_NUMBER})to({_NUMBER}))?")


@dataclass(frozen=True)
class GuidanceSpec:
    """Classifier-free guidance at times from `begin` to `end`; at weight 1 it is none, wherever it acts.

    Args:
        weight: 1 is no guidance.
        begin: lowest time at which it acts.
        end: highest time at which it acts.

    >>> spec = GuidanceSpec(3.0, 0.2, 0.9)
    >>> str(spec), spec.slug, spec.short
    ('cfg:begin=0.2,end=0.9,weight=3', 'cfg3-0.2to0.9', '3-0.2to0.9')
    >>> str(GuidanceSpec(1.0, 0.2, 0.9))
    'cfg:begin=0,end=1,weight=1'
    """

    weight: float = 1.0
    begin: float = 0.0
    end: float = 1.0

    def __post_init__(self) -> None:
        if self.weight == 1:  # where it acts means nothing then
            object.__setattr__(self, "begin", 0.0)
            object.__setattr__(self, "end", 1.0)
        for name, most in (("weight", 1000), ("begin", 1), ("end", 1)):
            value = getattr(self, name)
            ok = 0 <= value <= most and value == float(f"{value:g}")  # scores are named after it
            check(ok, f"cfg: option '{name}'", value, f"a number from 0 to {most} with at most 6 digits")
        check(self.begin < self.end, "cfg: option 'end'", self.end, f"a time after begin={show(self.begin)}")

    @classmethod
    def parse(cls, text: str) -> "GuidanceSpec":
        """Read a spec, or what scores said before guidance was one: '3', '3-0.2to0.9'. Raises UserError."""
        if old := _OLD.fullmatch(text):
            return cls(*(float(number) for number in old.groups() if number is not None))
        check(text.strip().partition(":")[0] == "cfg", "guidance", text, "cfg, as in cfg:weight=3")
        part = Part.parse(text)
        if unknown := [key for key, _ in part.options if key not in _OPTIONS]:
            raise UserError(f"cfg: unknown option '{unknown[0]}'; its options are: begin, end, weight.")
        return cls(**{key: float(_OPTIONS[key].convert(value, "cfg")) for key, value in part.options})

    def __str__(self) -> str:
        numbers = {"begin": self.begin, "end": self.end, "weight": self.weight}
        return str(Part("cfg", tuple((key, show(value)) for key, value in numbers.items())))

    @property
    def short(self) -> str:
        """For people: the weight, and the times where they are not all."""
        everywhere = (self.begin, self.end) == (0.0, 1.0)
        return f"{self.weight:g}" + ("" if everywhere else f"-{self.begin:g}to{self.end:g}")

    @property
    def slug(self) -> str:
        """Short unique name for files and metrics."""
        return f"cfg{self.short}"
