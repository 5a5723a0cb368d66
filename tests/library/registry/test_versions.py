"""Versions, neutral values and what a plug-in says: how identities outlive the code."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from plug_ins import ANSWER, NEW_VARIANT, one_line, plugins_fixture, said  # noqa: F401  a fixture

from rope_dit.pos_embed.base import Geometry
from rope_dit.registry import GRIDS, POS_EMBEDS, REGISTRIES, Entry, Part

ROOT = Path(__file__).parents[3]

GEOMETRY = Geometry(32, 4, 8, 2, (5, 7))


def ship(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let an entry of a plug-in pass for one that ships."""
    entries = dict(POS_EMBEDS.entries())
    monkeypatch.setitem(entries, name, replace(entries[name], is_plugin=False))
    monkeypatch.setattr(POS_EMBEDS, "_entries", entries)


def test_what_ships_is_no_plugin_and_in_its_first_version_unless_said(plugins):
    assert all(not entry.is_plugin for each in REGISTRIES.values() for entry in each)
    assert POS_EMBEDS["rope2d"].version == 1
    plugins(NEW_VARIANT)
    assert POS_EMBEDS["shifted_tokens"].is_plugin
    assert POS_EMBEDS["shifted_tokens"].version == 1
    assert not POS_EMBEDS["rope2d"].is_plugin


def test_versions_and_neutral_values_are_said_beside_the_name_of_classes_and_functions(plugins):
    plugins(said("version=3, neutral={'amount': -1, 'mode': 'old'}"))
    plugins(ANSWER.format(more=", neutral={'shift': 1}, version=2"), "answer.py")
    entry = POS_EMBEDS["shifted_tokens"]
    assert entry.version == 3
    neutral = {option.name: option.neutral for option in entry.options.values()}
    assert neutral == {"amount": -1.0, "times": None, "on": None, "mode": "old"}
    assert type(neutral["amount"]) is float
    assert (GRIDS["answer"].version, GRIDS["answer"].options["shift"].neutral) == (2, 1.0)
    assert callable(GRIDS.load("answer"))
    assert callable(POS_EMBEDS.load("shifted_tokens"))


def test_an_option_that_is_missing_in_a_record_did_what_was_done_before_it_was_there(plugins):
    plugins(said("neutral={'amount': 0, 'on': False}"))
    typed = "shifted_tokens:amount=2,mode=all_of_it,on=true,times=3"
    stored = "shifted_tokens:amount=0,mode=all_of_it,on=false,times=3"
    assert POS_EMBEDS.canonical("shifted_tokens") == POS_EMBEDS.canonical(typed, stored=True) == typed
    assert POS_EMBEDS.canonical("shifted_tokens", stored=True) == POS_EMBEDS.canonical(stored) == stored
    half = "shifted_tokens:on=true+rope2d:theta=5"
    together = "rope2d:theta=5+shifted_tokens:amount=0,mode=all_of_it,on=true,times=3"
    assert POS_EMBEDS.canonical(half, stored=True) == together
    assert POS_EMBEDS["shifted_tokens"].resolve(Part("shifted_tokens"), stored=True)["amount"] == 0


def test_an_option_that_does_what_was_done_before_it_was_there_changes_no_text(plugins):
    plugins(said("neutral={'amount': 2, 'on': False}"))
    assert POS_EMBEDS.canonical("shifted_tokens") == "shifted_tokens:mode=all_of_it,on=true,times=3"
    assert (
        POS_EMBEDS.canonical("shifted_tokens:amount=2,on=false")
        == "shifted_tokens:mode=all_of_it,on=false,times=3"
    )
    assert POS_EMBEDS.canonical("shifted_tokens:amount=1").startswith("shifted_tokens:amount=1,")
    stored = POS_EMBEDS.canonical("shifted_tokens:mode=all_of_it,on=true,times=3", stored=True)
    assert stored == POS_EMBEDS.canonical("shifted_tokens")


def test_a_neutral_option_is_no_part_of_an_identity(plugins, monkeypatch):
    plugins(said("neutral={'amount': 0, 'on': True}"))
    ship(monkeypatch, "shifted_tokens")
    before = {"variant": "shifted_tokens:mode=all_of_it,times=3"}
    assert POS_EMBEDS.identity(POS_EMBEDS.canonical("shifted_tokens", stored=True)) == before
    assert POS_EMBEDS.identity("shifted_tokens:amount=0") == before
    assert POS_EMBEDS.identity("shifted_tokens") == {
        "variant": "shifted_tokens:amount=2,mode=all_of_it,times=3"
    }
    off = {"variant": "shifted_tokens:mode=all_of_it,on=false,times=3"}
    assert POS_EMBEDS.identity("shifted_tokens:on=false,amount=0") == off


def test_the_slug_tells_neutral_from_default(plugins):
    plugins(said("neutral={'amount': 0}"))
    assert POS_EMBEDS.slug("shifted_tokens") == "shifted_tokens"
    stored = POS_EMBEDS.canonical("shifted_tokens", stored=True)
    assert POS_EMBEDS.slug(stored) == POS_EMBEDS.slug("shifted_tokens:amount=0") == "shifted_tokens-amount0"


def test_the_identity_of_what_ships_is_its_canonical_spec(monkeypatch, plugins):
    assert POS_EMBEDS.identity("rope2d") == {"variant": "rope2d:theta=100"}
    assert POS_EMBEDS.identity("none") == {"variant": "none"}
    assert POS_EMBEDS.identity("rope2d+learned") == {"variant": "learned:std=0.02+rope2d:theta=100"}
    assert GRIDS.identity("shifted") == {"grid": "shifted:shift=3"}
    entries = dict(POS_EMBEDS.entries())
    monkeypatch.setattr(POS_EMBEDS, "_entries", {**entries, "rope2d": replace(entries["rope2d"], version=2)})
    assert POS_EMBEDS.identity("rope2d+learned:std=1") == {
        "variant": "learned:std=1+rope2d:theta=100",
        "version of variant rope2d": "2",
    }


def test_the_identity_of_a_plugin_holds_what_its_file_says(plugins):
    plugins(said("version=2"))
    entry = POS_EMBEDS["shifted_tokens"]
    assert POS_EMBEDS.identity("shifted_tokens:times=1+rope2d") == {
        "variant": "rope2d:theta=100+shifted_tokens:amount=2,mode=all_of_it,on=true,times=1",
        "plug-in variant shifted_tokens": entry.tree_sha256,
    }


def test_a_new_option_moves_no_part_of_a_composite(plugins, monkeypatch):
    """Sorted as text 'shift' comes before 'shift2:...' without options, and behind it with one."""
    short = said("neutral={'amount': 2}").replace("shifted_tokens", "shift")
    other = (
        said("").replace("shifted_tokens", "shift2").replace(", *, amount: float = 2", ", *, a: float = 2")
    )
    plugins(re.sub(r", times: .*\):", "):", short).replace("amount * times if on else 0.0", "amount"))
    plugins(other.replace("= amount", "= a"), "other.py")
    assert POS_EMBEDS.canonical("shift2+shift").startswith("shift+shift2:")
    for name in ("shift", "shift2"):
        ship(monkeypatch, name)
    assert POS_EMBEDS.identity("shift2+shift")["variant"].startswith("shift+shift2:")


def tree_of(add, content: str) -> str:
    add(content)
    return POS_EMBEDS["shifted_tokens"].tree_sha256


def test_comments_docstrings_and_layout_do_not_count(plugins):
    before = tree_of(plugins, NEW_VARIANT)
    assert len(before) == 64
    for change in [
        NEW_VARIANT.replace('"""A plugin."""', "# nothing"),
        NEW_VARIANT.replace("    relative = True", '    relative = True  # why\n    """what it means"""'),
        NEW_VARIANT.replace("Adds a constant", "Takes away a constant").replace("More words", "No words"),
        NEW_VARIANT.replace("        super()", '        """Of a method."""\n        super()'),
        NEW_VARIANT.replace("mode: str", "\n        mode: str").replace("x_BTD + ", "(x_BTD) +\\\n  "),
        NEW_VARIANT.replace('"all_of_it"', "u'all_' 'of_it'").replace("float = 2,", "float = 0x2,"),
        NEW_VARIANT.replace("\n", "\r\n"),
    ]:
        assert change != NEW_VARIANT
        assert tree_of(plugins, change) == before


def test_everything_else_counts(plugins):
    changes = [
        NEW_VARIANT,
        NEW_VARIANT.replace("else 0.0", "else 0.5"),
        NEW_VARIANT.replace("else 0.0", "else 0"),
        NEW_VARIANT.replace("x_BTD + ", "x_BTD - "),
        NEW_VARIANT.replace("float = 2,", "float = 3,"),
        NEW_VARIANT.replace('"all_of_it"', '"none_of_it"'),
        NEW_VARIANT.replace("else 0.0", "else None"),
        NEW_VARIANT.replace("else 0.0", "else ..."),
        NEW_VARIANT.replace("else 0.0", "else 'text'"),
        NEW_VARIANT + "\nEND = ()",
        NEW_VARIANT + "\nEND = []",
        NEW_VARIANT + "\nEND = '()'",
        NEW_VARIANT + "\ndel NEW",
    ]
    assert len({tree_of(plugins, content) for content in changes}) == len(changes)


def test_every_version_of_python_reads_the_same(tmp_path):
    """Syntax whose fields differ between versions, and letters that some tables call printable."""
    path = tmp_path / "all.py"
    path.write_text(SYNTAX, encoding="utf-8")
    assert Entry("all", path, "").tree_sha256 == SYNTAX_SHA256


SYNTAX = '''
"""Words."""
from . import a
import b as c
try:
    async def f(x, /, y=1, *z, w: int = -2.5, **k) -> None:
        async with x as (p, q):
            return [i async for i in x if i]
except* (ValueError, TypeError) as e:
    raise e from None
class A(B, metaclass=M):
    """Words."""
    x: int
    y: "float" = 1e-7j
match b:
    case {"x": None, **rest} | [1, *_] | A(x=True):
        d[1:, ..., ::2] = {**b, 1: lambda: (yield)}
print(f"{a!r:>{b}} {c=}" "🫨͸🥹", b"\\0", not 1 < 2 <= 3, 10**30, x := 1e999, sep="")
'''
SYNTAX_SHA256 = "9432052bfd9d12a541ac5294aa61c863938c77965cb4567648b5d79cd009870f"
