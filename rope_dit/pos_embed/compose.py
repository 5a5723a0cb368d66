"""From a spec to a module: one variant, or several joined by '+' of which each acts through its own hooks."""

from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn

from rope_dit.errors import UserError
from rope_dit.pos_embed.base import Geometry, Normal, PosEmbed, Site
from rope_dit.registry import POS_EMBEDS, Part

HOOKS = ("add", "rotate", "bias", "value", "output")


def build(spec: str, geometry: Geometry) -> PosEmbed:
    """Build the variant that `spec` names, for example `rope2d:theta=100` or `learned+rope2d`.

    Raises:
        UserError: unknown variant or option, a geometry that a part cannot serve, two rotary parts, a part
            that comes twice, or one that does nothing beside others.
    """
    canonical = POS_EMBEDS.canonical(spec)
    parts = canonical.split("+")
    built: list[PosEmbed] = [POS_EMBEDS.bind(part)(geometry) for part in parts]
    if len(built) == 1:
        return built[0]
    for part, made in zip(parts, built, strict=True):
        if all(getattr(type(made), hook) is getattr(PosEmbed, hook) for hook in HOOKS):
            name = Part.parse(part).name
            raise UserError(f"variant '{name}' does nothing; leave it out of '{canonical}'.")
    return Composite(geometry, built)


class Composite(PosEmbed):
    """Several variants at once; additions and biases add up, and at most one part may rotate.

    Values pass through the parts in order and sums of values in reverse, so that each part may undo what it
    did.
    """

    def __init__(self, geometry: Geometry, parts: list[PosEmbed]):
        super().__init__(geometry)
        turning = [part for part in parts if part.rotates and type(part).rotate is not PosEmbed.rotate]
        names = [getattr(part, "owner", type(part).__name__) for part in turning]
        if len(names) > 1:
            raise UserError(
                f"a variant may rotate queries and keys once; got {' and '.join(names)}. Keep one of them."
            )
        self.parts = nn.ModuleList(parts)
        self.relative = all(part.relative for part in parts)
        self.symmetric = all(part.symmetric for part in parts)
        self.extrapolates = all(part.extrapolates for part in parts)
        self.depends_on_t = any(part.depends_on_t for part in parts)
        self.uses_coordinates = any(part.uses_coordinates for part in parts)
        self.needs_grid = any(part.needs_grid for part in parts)
        placed = [part for part in parts if part.uses_coordinates]
        self.numbers_tokens = any(part.numbers_tokens for part in placed)
        self.squeezes_alike = len({part.numbers_tokens for part in placed}) < 2
        self.extrapolates_frequencies = any(part.extrapolates_frequencies for part in parts)
        self.sees = tuple(axis for axis in ("row", "column") if any(axis in part.sees for part in parts))

    def _parts(self) -> list[PosEmbed]:
        return cast("list[PosEmbed]", list(self.parts))

    def init_weights(self, normal: Normal) -> None:
        """Set the weights of each part as they start where it is the only one.

        A name that an earlier part has taken gets a prefix, or both would start from the same numbers.
        """
        taken: set[str] = set()
        for i, part in enumerate(self._parts()):
            part.init_weights(_renamed(normal, dict.fromkeys(taken, f"{i}.")))
            taken |= {name for name, _ in part.named_parameters()}

    def add(self, site: Site, x_BTD: Tensor) -> Tensor:
        """Add what each part adds."""
        for part in self._parts():
            x_BTD = part.add(site, x_BTD)
        return x_BTD

    def rotate(self, site: Site, q_BHTK: Tensor, k_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        """Rotate as the one part that rotates does."""
        for part in self._parts():
            q_BHTK, k_BHTK = part.rotate(site, q_BHTK, k_BHTK)
        return q_BHTK, k_BHTK

    def bias(self, site: Site, q_BHTK: Tensor, k_BHTK: Tensor) -> Tensor | None:
        """Sum the biases of the parts that have one."""
        found = (part.bias(site, q_BHTK, k_BHTK) for part in self._parts())
        biases = [bias for bias in found if bias is not None]
        return sum(biases[1:], biases[0]) if biases else None

    def value(self, site: Site, v_BHTK: Tensor) -> Tensor:
        """Change the values by each part."""
        for part in self._parts():
            v_BHTK = part.value(site, v_BHTK)
        return v_BHTK

    def output(self, site: Site, out_BHTK: Tensor) -> Tensor:
        """Change the sums of values by each part, the last one first."""
        for part in reversed(self._parts()):
            out_BHTK = part.output(site, out_BHTK)
        return out_BHTK


def _renamed(normal: Normal, prefixes: Mapping[str, str]) -> Normal:
    return lambda name, shape: normal(prefixes.get(name, "") + name, shape)
