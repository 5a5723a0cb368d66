"""Claims that options change, of which those that ship have none: the contract holds each value to them."""

import contract_variants
import pytest
from commands import forget_plugins

from rope_dit.registry import POS_EMBEDS, add_plugins

FADING = '''
from typing import Literal
from rope_dit.pos_embed.base import PosEmbed
from rope_dit.registry import POS_EMBEDS

@POS_EMBEDS.register("fading")
class Fading(PosEmbed):
    """Tokens that are far apart see less of each other, and towards data less so if asked."""

    relative = True
    extrapolates = True

    def __init__(self, geometry, *, along: Literal["both", "row", "column"] = "both", fades: bool = False):
        super().__init__(geometry)
        self.along, self.fades = ("row", "column") if along == "both" else (along,), fades
        self.sees, self.symmetric, self.depends_on_t = self.along, along == "both", fades

    def bias(self, site, q_BHTK, k_BHTK):
        places = {"row": site.rows, "column": site.columns}
        far = sum((places[a][..., None] - places[a][..., None, :]).abs() for a in self.along)
        far = far[None, None] * (1 - site.t_B.view(-1, 1, 1, 1) * self.fades)
        return -far.expand(-1, self.geometry.num_heads, -1, -1).to(q_BHTK)
'''
SPECS = [
    "fading",
    *(f"fading:along={a}" for a in ("both", "row", "column")),
    "fading:fades=true",
    "fading:fades=false",
]


@pytest.fixture
def plugin(tmp_path):
    """A function that writes the file, changed, and adds its folder."""

    def add(change: str = "", to: str = "") -> None:
        assert change in FADING
        (tmp_path / "fading.py").write_text(FADING.replace(change, to) if change else FADING)
        add_plugins(tmp_path)

    yield add
    forget_plugins()


def broken() -> set[tuple[str, str]]:
    """Specs and the checks that they do not pass."""
    found = set()
    for spec in POS_EMBEDS["fading"].specs():
        for check in contract_variants.CHECKS:
            try:
                check(spec)
            except pytest.skip.Exception:
                continue
            except AssertionError:
                found.add((spec, check.__name__))
    return found


def test_each_value_of_an_option_is_held_to_what_the_instance_claims(plugin):
    plugin()
    assert sorted(POS_EMBEDS["fading"].specs()) == sorted(SPECS)
    assert broken() == set()


@pytest.mark.parametrize(
    ("change", "to", "spec", "check"),
    [
        ('along == "both", fades', "True, fades", "along=row", "is_symmetric_where_it_claims_so"),
        ("= self.along, along", '= ("row", "column"), along', "along=column", "sees_the_axes_that_it_claims"),
        ('== "both", fades', '== "both", False', "fades=true", "depends_on_t_where_it_claims_so"),
        ('== "both", fades', '== "both", True', "fades=false", "depends_on_t_where_it_claims_so"),
        ("far[None, None] *", "(far / far.mean())[None, None] *", "along=both",
         "some_tokens_have_the_logits_that_they_have_among_all"),
    ],
)  # fmt: skip
def test_a_claim_that_one_value_does_not_keep_is_found(plugin, change, to, spec, check):
    plugin(change, to)
    found = broken()
    assert (f"fading:{spec}", check) in found
    if "far" not in change:
        assert not {one for one, name in found if name == check} >= {*SPECS}, "the other values keep it"
