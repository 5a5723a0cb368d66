"""Guidance as text, as in `cfg:weight=3`: what a score is named after. Imports no torch."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rope_dit.errors import UserError
from rope_dit.registry import GUIDANCES, Part, Value, show
from rope_dit.registry.specs import NAME

if TYPE_CHECKING:
    from torch import Tensor

    from rope_dit.guidance.base import Guidance, Network
    from rope_dit.samplers.base import Velocity

_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_WEIGHT = re.compile(rf"({_NUMBER})(?:-({_NUMBER})to({_NUMBER}))?")


@dataclass(frozen=True)
class GuidanceSpec:
    """A guidance with its options.

    >>> spec = GuidanceSpec.parse("cfg:weight=3,begin=0.2,end=0.9")
    >>> str(spec), spec.slug, spec.short, spec.evals
    ('cfg:begin=0.2,end=0.9,weight=3', 'cfg3-0.2to0.9', '3-0.2to0.9', 2)
    >>> str(GuidanceSpec.parse("cfg:weight=1,begin=0.2")), GuidanceSpec.parse("1").evals
    ('cfg:begin=0,end=1,weight=1', 1)
    """

    name: str
    options: tuple[tuple[str, Value], ...]

    @classmethod
    def parse(cls, text: str | float, *, stored: bool = False) -> "GuidanceSpec":
        """Read a spec. Raises UserError for what is unknown; `build` for what is out of range.

        Args:
            text: the spec; a number is the weight of cfg, and scores of before guidance was a spec say
                '3-0.2to0.9' for one with an interval.
            stored: it comes from a record, where options that it lacks are at their neutral values.
        """
        part = _part(str(text))
        entry = GUIDANCES[part.name]
        options, off = entry.resolve(part, stored=stored), entry.claims.get("off", {})
        if off and off.items() <= options.items():
            options = {key: off.get(key, option.default) for key, option in sorted(entry.options.items())}
        return cls(part.name, tuple(options.items()))

    def __str__(self) -> str:
        return str(Part(self.name, tuple((key, show(value)) for key, value in self.options)))

    @property
    def is_off(self) -> bool:
        """Whether it is none: the velocity is the network's own."""
        off = GUIDANCES[self.name].claims.get("off", {})
        return bool(off) and off.items() <= dict(self.options).items()

    @property
    def evals(self) -> int:
        """Evaluations of the network at a time, at most."""
        return 1 if self.is_off else int(GUIDANCES[self.name].claims.get("evals", 1))

    @property
    def needs_null_class(self) -> bool:
        """Whether the network must know a class that stands for none."""
        return not self.is_off and bool(GUIDANCES[self.name].claims.get("needs_null_class"))

    @property
    def weak(self) -> str:
        """Name of the other weights that it asks, as in `raw` or `0_9`; empty where it asks none."""
        needs = not self.is_off and GUIDANCES[self.name].claims.get("needs_weak")
        return str(dict(self.options)["weak"]) if needs else ""

    @property
    def short(self) -> str:
        """For people: of cfg the weight, and the times where they are not all; of others the slug."""
        return self.slug.removeprefix("cfg") if self.name == "cfg" else self.slug

    @property
    def slug(self) -> str:
        """Short unique name for files and metrics."""
        if self.name != "cfg":  # one that is called cfg3 is not cfg with weight 3
            return re.sub(r"^(?=cfg[0-9])", "_", GUIDANCES.slug(str(self)))
        # stores and folders named it so before there were others
        values = {key: show(value) for key, value in self.options}
        everywhere = (values["begin"], values["end"]) == ("0", "1")
        return f"cfg{values['weight']}" + ("" if everywhere else f"-{values['begin']}to{values['end']}")

    def build(self) -> "Guidance":
        """Import the guidance and make it. Raises UserError for options that are out of range."""
        made: Guidance = GUIDANCES.load(self.name)(**dict(self.options))
        return made

    def velocity(
        self, network: "Network", labels_B: "Tensor", null_label: int | None, weak: "Network | None" = None
    ) -> "Velocity":
        """Make the velocity of pictures of given classes: see `Guidance.velocity`; `weak` if it asks it."""
        made: Any = self.build()
        others = {"weak": weak} if self.weak else {}
        velocity: Velocity = made.velocity(network, labels_B, null_label, **others)
        return velocity


def _part(text: str) -> Part:
    """Read a spec or a weight as a part."""
    if weight := _WEIGHT.fullmatch(text.strip()):
        given = zip(("weight", "begin", "end"), weight.groups(), strict=True)
        return Part("cfg", tuple((key, show(float(number))) for key, number in given if number is not None))
    if not NAME.fullmatch(text.partition(":")[0].strip()):
        raise UserError(f"guidance got '{text}', expected a spec such as cfg:weight=3, or a weight of cfg.")
    return Part.parse(text)
