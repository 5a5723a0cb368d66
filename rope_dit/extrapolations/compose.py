"""From a spec to what is done about larger grids: one item, and what modifies it."""

import math
from dataclasses import dataclass

from torch import Tensor

from rope_dit.errors import UserError
from rope_dit.extrapolations.base import Extrapolation, Grid, Stretch
from rope_dit.registry import EXTRAPOLATIONS


@dataclass(frozen=True)
class Able:
    """What a model has that an extrapolation may act on, and how it is called in messages."""

    variant: str
    positions: str
    coordinates: bool
    """the variant uses coordinates"""
    frequencies: bool
    """the variant turns with frequencies"""
    grows: bool
    """larger grids have places beyond the trained ones"""
    alike: bool = True
    """all parts of the variant go by rows and columns, or all by the number of a token"""


class Extrapolations:
    """What `spec` says, for example `yarn:beta=8+dype`.

    Raises:
        UserError: an unknown name or option, two items of which one is enough, one that has no meaning for
            the model, or `dype` with nothing to fade.
    """

    def __init__(self, spec: str, able: Able):
        parts = EXTRAPOLATIONS.canonical(spec).split("+")
        items: list[Extrapolation] = [EXTRAPOLATIONS.bind(part)() for part in parts]
        names = [part.partition(":")[0] for part in parts]
        self.items = tuple(sorted(items, key=lambda item: item.modifies))
        for name, item in zip(names, items, strict=True):
            if why := _refusal(name, item, able):
                raise UserError(why)
        self.fades = any(item.acts_on == "time" for item in items)
        if self.fades and not self.items[0].acts_on:
            raise UserError(f"extrapolation '{spec}': dype fades another one; join it to pi, ntk or yarn.")

    def stretch(self, trained: Grid, grid: Grid, t_B: Tensor) -> Stretch | None:
        """What is done on a grid; None where it is not larger than the trained one, or nothing is done."""
        larger = any(n > most for n, most in zip(grid, trained, strict=True))
        acts = any(item.acts_on for item in self.items)
        if not (larger and acts):
            return None
        if not self.fades:
            return Stretch(trained, grid, self.items, 1.0)
        share = math.prod(item.fade(t_B.double() if t_B.device.type != "mps" else t_B) for item in self.items)
        return Stretch(trained, grid, self.items, share.view(-1, 1, 1, 1))  # type: ignore[union-attr]


def refusal(spec: str, able: Able) -> str:
    """Why what `spec` says has no meaning for a model, in a sentence; '' where it has one.

    Raises UserError for what has no meaning for any: an unknown name or option, two items, nothing to fade.
    """
    Extrapolations(spec, Able("", "", coordinates=True, frequencies=True, grows=True))
    parts = EXTRAPOLATIONS.canonical(spec).split("+")
    found = (_refusal(part.partition(":")[0], EXTRAPOLATIONS.bind(part)(), able) for part in parts)
    return next(filter(None, found), "")


def _refusal(name: str, item: Extrapolation, able: Able) -> str:
    if item.acts_on == "frequencies" and not able.frequencies:
        return (
            f"extrapolation '{name}' acts on the frequencies of rotary variants; got the variant "
            f"'{able.variant[:40]}', which has none. Expected pi, attention_scale or none."
        )
    if item.acts_on == "coordinates" and not able.coordinates:
        return (
            f"extrapolation '{name}' squeezes coordinates; got the variant '{able.variant[:40]}', which "
            "uses none. Expected attention_scale or none."
        )
    if item.acts_on == "coordinates" and not able.alike:
        return (
            f"extrapolation '{name}' squeezes rows and columns, or the line of tokens; got the variant "
            f"'{able.variant[:40]}', which has parts that go by either. Expected another."
        )
    if item.acts_on in ("coordinates", "frequencies") and not able.grows:
        return (
            f"extrapolation '{name}' has nothing to do: model.positions '{able.positions[:40]}' brings "
            "larger grids into the trained range. Expected attention_scale or none."
        )
    return ""
